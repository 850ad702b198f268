const std = @import("std");
const maze = @import("maze");

const schema =
    \\{"type": "object",
    \\ "properties": {
    \\   "name": {"type": "string", "pattern": "^[a-z]+(_[a-z]+){1,3}$"},
    \\   "returns": {"enum": ["int", "float", "str", "bool"]}},
    \\ "required": ["name", "returns"],
    \\ "additionalProperties": false}
;

pub fn main() !void {
    const gpa = std.heap.c_allocator;
    const intent: maze.Intent = .{ .raw_input = "Plan a Python function that parses a date.", .language = "python" };

    var result = try maze.generate(gpa, intent, .{
        .list = &.{.{ .name = "plan", .json_schema = schema }},
    }, .{ .max_tokens = 200, .temperature = 0 });
    defer result.deinit();

    const code = result.code() catch |err| {
        std.log.err("{s}", .{result.message()});
        return err;
    };
    _ = std.c.printf("%s\n", code.ptr);
}
