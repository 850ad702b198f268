//! Generation with a real model: the embedded one, or whatever the environment names.

const std = @import("std");
const maze = @import("maze");
const testing = std.testing;
const gpa = testing.allocator;

const schema =
    \\{"type": "object",
    \\ "properties": {"colour": {"enum": ["red", "green", "blue"]}, "bright": {"type": "boolean"}},
    \\ "required": ["colour", "bright"], "additionalProperties": false}
;
const Colour = struct { colour: enum { red, green, blue }, bright: bool };

const intent: maze.Intent = .{ .raw_input = "Name a colour of the sky, as JSON." };
const constraints: maze.Constraints = .{ .list = &.{.{ .json_schema = schema, .name = "colour" }} };
const options: maze.Options = .{ .max_tokens = 60, .temperature = 0, .timeout_ms = 120_000 };

fn expectColour(result: maze.Result) !void {
    // Compared rather than checked, so that a failure shows its reason.
    try testing.expectEqualStrings("", result.message());
    const colour = try std.json.parseFromSlice(Colour, gpa, try result.code(), .{});
    colour.deinit();
}

test "the engine is ready and names its models" {
    var health = maze.healthCheck();
    defer health.deinit();
    try testing.expectEqualStrings("", health.message());
    try health.check();

    var models = maze.listModels();
    defer models.deinit();
    try models.check();
    const Models = struct { models: []const []const u8 };
    const parsed = try std.json.parseFromSlice(Models, gpa, models.json(), .{ .ignore_unknown_fields = true });
    defer parsed.deinit();
    try testing.expect(parsed.value.models.len > 0);
}

test "a model's code obeys the schema, and the result tells how it came to be" {
    var result = try maze.generate(gpa, intent, constraints, options);
    defer result.deinit();

    try expectColour(result);
    try testing.expect(result.tokensGenerated() > 0);
    try testing.expectEqualStrings("stop", result.finishReason());
    const Report = struct {
        provenance: struct { original_intent: []const u8, model: []const u8 },
        validation: struct { all_satisfied: bool },
        metadata: struct { tokens_generated: u64 },
    };
    const report = try std.json.parseFromSlice(Report, gpa, result.json(), .{ .ignore_unknown_fields = true });
    defer report.deinit();
    try testing.expectEqualStrings(intent.raw_input, report.value.provenance.original_intent);
    try testing.expect(report.value.validation.all_satisfied);
    try testing.expectEqual(result.tokensGenerated(), report.value.metadata.tokens_generated);
}

test "a text that is cut off is an error, and is kept" {
    var cut_options = options;
    cut_options.max_tokens = 3;
    var result = try maze.generate(gpa, intent, constraints, cut_options);
    defer result.deinit();

    try testing.expectError(error.Truncated, result.code());
    try testing.expectEqualStrings("length", result.finishReason());
    try testing.expectStringStartsWith(result.text(), "{");
    try testing.expect(std.mem.indexOf(u8, result.message(), "max_tokens") != null);
}

test "the pieces of a stream are the code" {
    const Pieces = struct {
        text: std.ArrayList(u8) = .empty,
        count: usize = 0,

        fn take(pieces: *@This(), text: []const u8) bool {
            pieces.text.appendSlice(gpa, text) catch return false;
            pieces.count += 1;
            return true;
        }
    };
    var pieces: Pieces = .{};
    defer pieces.text.deinit(gpa);

    var result = try maze.generateStream(gpa, intent, constraints, options, &pieces, Pieces.take);
    defer result.deinit();

    try testing.expectEqualStrings(try result.code(), pieces.text.items);
    try testing.expect(pieces.count > 1);
}

test "a stream that is cancelled keeps what had arrived" {
    const refuse = struct {
        fn take(_: void, _: []const u8) bool {
            return false;
        }
    }.take;
    var result = try maze.generateStream(gpa, intent, constraints, options, {}, refuse);
    defer result.deinit();

    try testing.expectError(error.Cancelled, result.code());
    try testing.expect(result.text().len > 0);
}

test "a batch has a result for each intent, and one failure does not touch the others" {
    var batch = try maze.generateBatch(gpa, &.{ intent, .{ .raw_input = "" }, intent }, constraints, options);
    defer batch.deinit(gpa);

    try testing.expectEqual(3, batch.results.len);
    try expectColour(batch.results[0]);
    try testing.expectError(error.InvalidArgument, batch.results[1].code());
    try expectColour(batch.results[2]);
    try testing.expectError(error.InvalidArgument, batch.check());

    var nothing = try maze.generateBatch(gpa, &.{}, constraints, options);
    defer nothing.deinit(gpa);
    try nothing.check();
}

test "several threads generate at once" {
    const Worker = struct {
        fn run(failures: *std.atomic.Value(u32)) void {
            generate() catch {
                _ = failures.fetchAdd(1, .monotonic);
            };
        }

        fn generate() !void {
            var result = try maze.generate(gpa, intent, constraints, options);
            defer result.deinit();
            try expectColour(result);
        }
    };
    var failures: std.atomic.Value(u32) = .init(0);
    var threads: [4]std.Thread = undefined;
    for (&threads) |*thread| thread.* = try .spawn(.{}, Worker.run, .{&failures});
    for (threads) |thread| thread.join();
    try testing.expectEqual(0, failures.load(.monotonic));
}

test "generation works again after a shutdown" {
    maze.shutdown();
    var result = try maze.generate(gpa, intent, constraints, options);
    defer result.deinit();
    try expectColour(result);
}
