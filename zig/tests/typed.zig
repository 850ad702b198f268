//! Zig types as schemas, and values of them: what a schema accepts is what std.json parses. The last test asks the model.

const std = @import("std");
const maze = @import("maze");
const testing = std.testing;
const gpa = testing.allocator;

const Level = enum { low, high, @"very \"high\"\\" };
const Shape = union(enum) {
    circle: f64,
    square: struct { side: u8 },
    nothing: void,

    pub const maze_docs = .{ .circle = "its radius" };
};
const Tree = struct { name: []const u8, children: []const Tree = &.{} };
const List = struct { item: i8, next: ?*const List };
const Even = struct {
    a: Shape,
    b: Shape,
    c: ?Shape,
};
const Everything = struct {
    text: []const u8,
    mutable: []u8,
    zero_terminated: [:0]const u8,
    code: [2]u8,
    byte: u8,
    short: i16,
    long: i64,
    unsigned: u64,
    none: u0,
    half: f16,
    single: f32,
    double: f64,
    yes: bool,
    level: Level,
    shape: Shape,
    maybe: ?u8,
    optional: ??bool = null,
    number: i32 = 7,
    pair: struct { u8, []const u8 },
    empty: struct {},
    three: [3]bool,
    vector: @Vector(2, i8),
    pointer: *const u16,
    many: []const []const u8,
    optionals: []const ?Level,
    tree: Tree,
    list: List,
    map: std.json.ArrayHashMap(u8),
    any: std.json.Value,
    @"a \"quoted\" name\n": bool,

    pub const maze_docs = .{ .text = "what it says: \"äöü\"\n", .any = "anything", .tree = "by reference" };
};

/// Whether the schema of `T` accepts a text, and std.json parses it.
fn judge(comptime T: type, text: []const u8) !struct { bool, bool } {
    var result = try maze.validate(gpa, text, .{ .list = &.{.{ .json_schema = maze.schemaOf(T) }} }, .{});
    defer result.deinit();
    const accepted = switch (result.status()) {
        .ok => true,
        .constraint_violated => false,
        else => {
            std.debug.print("\n{s}\n{s}\n", .{ maze.schemaOf(T), result.message() });
            return error.Unexpected;
        },
    };
    const parsed = std.json.parseFromSlice(T, gpa, text, .{ .duplicate_field_behavior = .use_last }) catch |err| switch (err) {
        error.OutOfMemory => return err,
        else => return .{ accepted, false },
    };
    parsed.deinit();
    return .{ accepted, true };
}

fn expectBoth(comptime T: type, comptime accepted: bool, texts: []const []const u8) !void {
    for (texts) |text| {
        const by_schema, const by_parser = try judge(T, text);
        if (by_schema == accepted and by_parser == accepted) continue;
        std.debug.print("\n{s} as {s}: schema {}, std.json {}\n", .{ text, @typeName(T), by_schema, by_parser });
        return error.Disagreement;
    }
}

test "what a schema accepts is what std.json parses" {
    try expectBoth(u8, true, &.{ "0", "255", "1.0", "1e2", "-0" });
    try expectBoth(u8, false, &.{ "256", "-1", "1.5", "null", "[]", "1e3" });
    try expectBoth(u0, true, &.{"0"});
    try expectBoth(u0, false, &.{"1"});
    try expectBoth(i64, true, &.{ "9223372036854775807", "-9223372036854775808" });
    try expectBoth(i64, false, &.{ "9223372036854775808", "-9223372036854775809" });
    try expectBoth(u64, true, &.{ "18446744073709551615", "18446744073709551615.0" });
    try expectBoth(u64, false, &.{ "18446744073709551616", "1e40" });
    try expectBoth(u113, true, &.{ "10384593717069655257060992658440191", "10384593717069655257060992658440191.0" });
    try expectBoth(u113, false, &.{ "10384593717069655257060992658440192", "10384593717069655257060992658440192.0" });
    try expectBoth(f64, true, &.{ "1", "-1.5", "1e300", "0.1", "5e-324" });
    try expectBoth(f64, false, &.{ "true", "{}", "+1", "NaN", "01" });
    try expectBoth(bool, true, &.{ "true", " false\n" });
    try expectBoth(bool, false, &.{ "1", "\"true\"", "null", "true false" });
    try expectBoth(?u8, true, &.{ "null", "3" });
    try expectBoth(?u8, false, &.{ "256", "[null]" });
    try expectBoth(??u8, true, &.{ "null", "3" });
    try expectBoth(Level, true, &.{ "\"low\"", "\"very \\\"high\\\"\\\\\"", "\"\\u006cow\"" });
    try expectBoth(Level, false, &.{ "\"Low\"", "\"\"", "null", "7" });
    try expectBoth(Shape, true, &.{ "{\"circle\": 1}", "{\"square\": {\"side\": 3}}", "{\"nothing\": {}}" });
    try expectBoth(Shape, false, &.{ "{}", "{\"circle\": 1, \"nothing\": {}}", "{\"oval\": 1}", "\"nothing\"", "{\"nothing\": {\"a\": 1}}" });
    try expectBoth(Tree, true, &.{ "{\"name\": \"a\"}", "{\"children\": [{\"name\": \"b\", \"children\": []}], \"name\": \"a\"}" });
    try expectBoth(Tree, false, &.{ "{\"children\": []}", "{\"name\": \"a\", \"children\": [{}]}", "{\"name\": \"a\", \"children\": null}" });
    try expectBoth(List, true, &.{"{\"item\": 1, \"next\": {\"item\": 2, \"next\": null}}"});
    try expectBoth(List, false, &.{ "{\"item\": 1}", "{\"item\": 1, \"next\": {}}", "{\"item\": 1, \"next\": null, \"more\": 1}" });
    try expectBoth(Even, true, &.{"{\"a\": {\"circle\": 1}, \"b\": {\"nothing\": {}}, \"c\": null}"});
    try expectBoth(Even, false, &.{"{\"a\": {\"circle\": 1}, \"b\": {\"nothing\": {}}}"});
    try expectBoth(struct { u8, bool }, true, &.{"[1, true]"});
    try expectBoth(struct { u8, bool }, false, &.{ "[1]", "[1, true, 2]", "[true, 1]", "{}" });
    try expectBoth([2]u8, true, &.{ "\"ab\"", "\"\\u0000\\n\"" });
    try expectBoth([2]u8, false, &.{ "\"a\"", "\"abc\"", "\"ab\\n\"", "\"äb\"" });
    try expectBoth([0]u8, true, &.{"\"\""});
    try expectBoth([2]u16, true, &.{"[1, 65535]"});
    try expectBoth([2]u16, false, &.{ "[1]", "[1, 65536]", "[1, 2, 3]" });
    try expectBoth([0]u16, true, &.{"[]"});
    try expectBoth([0]u16, false, &.{"[1]"});
    try expectBoth(@Vector(2, i8), true, &.{"[-128, 127]"});
    try expectBoth(@Vector(2, i8), false, &.{"[-128, 128]"});
    try expectBoth([]const []const u8, true, &.{ "[]", "[\"\", \"ä\\u00e4\\ud83d\\ude00\"]" });
    try expectBoth([]const []const u8, false, &.{ "[1]", "\"\"", "[\"\\ud800\"]", "[\"\n\"]", "[\"a\",]" });
    try expectBoth(struct {}, true, &.{"{}"});
    try expectBoth(struct {}, false, &.{ "{\"a\": 1}", "[]" });
    try expectBoth(std.json.ArrayHashMap(u8), true, &.{ "{}", "{\"a\": 1, \"\": 2, \"a\": 3}" });
    try expectBoth(std.json.ArrayHashMap(u8), false, &.{ "{\"a\": 256}", "[]" });
    try expectBoth(std.json.Value, true, &.{ "[{\"a\": null}, 1e5]", "\"\"" });
    try expectBoth(struct { a: u8, b: u8 = 1 }, true, &.{ "{\"b\": 2, \"a\": 1}", "{\"a\": 1}", "{\"a\": 1, \"a\": 2}" });
    try expectBoth(struct { a: u8, b: u8 = 1 }, false, &.{ "{\"b\": 2}", "{\"a\": 1, \"b\": null}", "{\"a\": 256, \"a\": 2}" });
}

test "numbers that a float cannot hold are refused where std.json would make them infinite" {
    try expectBoth(f16, true, &.{ "65504", "-65504", "0.1" });
    try expectBoth(f32, true, &.{ "3.4028235e38", "-3.4028234663852886e38" });
    inline for (.{ .{ f16, "65520" }, .{ f32, "3.5e38" } }) |case| {
        const Float, const text = case;
        const accepted, _ = try judge(Float, text);
        try testing.expect(!accepted);
    }
}

/// A value of any type that `schemaOf` takes, with the extremes of its numbers now and then.
fn arbitrary(comptime T: type, random: std.Random, arena: std.mem.Allocator, depth: u8) std.mem.Allocator.Error!T {
    if (T == std.json.Value) return .{ .integer = random.int(i32) };
    if (T == std.json.ArrayHashMap(u8)) {
        var map: T = .{};
        for (0..random.uintLessThan(usize, 3)) |_|
            try map.map.put(arena, try arbitrary([]const u8, random, arena, depth), random.int(u8));
        return map;
    }
    switch (@typeInfo(T)) {
        .bool => return random.boolean(),
        .int => return switch (random.uintLessThan(u8, 4)) {
            0 => std.math.minInt(T),
            1 => std.math.maxInt(T),
            else => random.int(T),
        },
        .float => return switch (random.uintLessThan(u8, 5)) {
            0 => std.math.floatMax(T),
            1 => -std.math.floatMax(T),
            2 => std.math.floatTrueMin(T),
            3 => @floatFromInt(random.int(i8)),
            else => @floatCast(random.floatNorm(f64)),
        },
        .optional => |optional| return if (depth == 0 or random.boolean()) null else try arbitrary(optional.child, random, arena, depth - 1),
        .@"enum" => return random.enumValue(T),
        .array => |array| {
            var items: T = undefined;
            for (&items) |*item| item.* = if (array.child == u8) random.int(u7) else try arbitrary(array.child, random, arena, depth);
            return items;
        },
        .vector => |vector| return try arbitrary([vector.len]vector.child, random, arena, depth),
        .pointer => |pointer| {
            if (pointer.size == .one) {
                const target = try arena.create(pointer.child);
                target.* = try arbitrary(pointer.child, random, arena, depth);
                return target;
            }
            if (pointer.child == u8) {
                const pieces = [_][]const u8{ "a", "\"", "\\", "\n", "\x00", "\x7f", "ä", "\u{2028}", "😀", "/", "{" };
                var text: std.ArrayList(u8) = .empty;
                for (0..random.uintLessThan(usize, 4)) |_| try text.appendSlice(arena, pieces[random.uintLessThan(usize, pieces.len)]);
                return if (comptime pointer.sentinel() == null) text.items else try text.toOwnedSliceSentinel(arena, 0);
            }
            const items = try arena.alloc(pointer.child, if (depth == 0) 0 else random.uintLessThan(usize, 3));
            for (items) |*item| item.* = try arbitrary(pointer.child, random, arena, depth - 1);
            return items;
        },
        .@"union" => {
            const names = comptime std.meta.fieldNames(T);
            const chosen = random.uintLessThan(usize, names.len);
            inline for (names, 0..) |name, index| if (index == chosen) {
                const Field = @FieldType(T, name);
                return @unionInit(T, name, if (Field == void) {} else try arbitrary(Field, random, arena, depth));
            };
            unreachable;
        },
        .@"struct" => {
            var value: T = undefined;
            inline for (comptime std.meta.fieldNames(T)) |name|
                @field(value, name) = try arbitrary(@FieldType(T, name), random, arena, depth);
            return value;
        },
        else => comptime unreachable,
    }
}

test "what std.json writes of a type satisfies its schema" {
    const seed = 7;
    var generator: std.Random.DefaultPrng = .init(seed);
    for (0..40) |round| {
        var arena: std.heap.ArenaAllocator = .init(gpa);
        defer arena.deinit();
        const value = try arbitrary(Everything, generator.random(), arena.allocator(), 3);
        const text = try std.json.Stringify.valueAlloc(arena.allocator(), value, .{});

        var result = try maze.validate(gpa, text, .{ .list = &.{.{ .json_schema = maze.schemaOf(Everything) }} }, .{});
        defer result.deinit();
        if (result.status() != .ok) std.debug.print("\nround {d}: {s}\n{s}\n", .{ round, text, result.message() });
        try result.check();

        // It comes back as what was written.
        const parsed = try std.json.parseFromSlice(Everything, gpa, text, .{});
        defer parsed.deinit();
        const again = try std.json.Stringify.valueAlloc(arena.allocator(), parsed.value, .{});
        try testing.expectEqualStrings(text, again);
    }
}

test "a schema tells what its type says, in the order of its fields" {
    const Plan = struct {
        name: []const u8,
        steps: []const struct { what: []const u8, hours: u8 = 1 },
        risk: ?enum { low, high },

        pub const maze_docs = .{ .name = "a \"short\" name" };
    };
    try testing.expectEqualStrings(
        \\{"type":"object","properties":{"name":{"description":"a \u0022short\u0022 name","type":"string"},
    ++
        \\"steps":{"type":"array","items":{"type":"object","properties":{"what":{"type":"string"},
    ++
        \\"hours":{"type":"integer","minimum":0,"maximum":255}},"required":["what"],"additionalProperties":false}},
    ++
        \\"risk":{"anyOf":[{"enum":["low","high"]},{"type":"null"}]}},"required":["name","steps","risk"],"additionalProperties":false}
    , maze.schemaOf(Plan));
    try testing.expectEqualStrings(
        \\{"$defs":{"Tree":{"type":"object","properties":{"name":{"type":"string"},"children":{"type":"array","items":{"$ref":"#/$defs/Tree"}}},
    ++
        \\"required":["name"],"additionalProperties":false}},"$ref":"#/$defs/Tree"}
    , maze.schemaOf(Tree));
    const docs = try std.json.parseFromSlice(std.json.Value, gpa, maze.schemaOf(Everything), .{});
    defer docs.deinit();
    const properties = docs.value.object.get("properties").?.object;
    try testing.expectEqualStrings(Everything.maze_docs.text, properties.get("text").?.object.get("description").?.string);
    try testing.expectEqualStrings("anything", properties.get("any").?.object.get("description").?.string);
    try testing.expectEqualStrings("by reference", properties.get("tree").?.object.get("description").?.string);
    try testing.expect(properties.contains("a \"quoted\" name\n"));
}

test "types that are used twice are written once, under names that differ" {
    const one = struct {
        const Node = struct { a: u8 };
    };
    const other = struct {
        fn Node(comptime T: type) type {
            return struct { b: T };
        }
    };
    // Without that, this schema would have a million leaves.
    const Big = Doubled(Doubled(Doubled(Doubled(Doubled(Doubled(Doubled(Doubled(Doubled(Doubled(u8))))))))));
    try testing.expect(maze.schemaOf(Doubled(Doubled(Big))).len < 4000);
    const Pairs = struct { a: one.Node, b: one.Node, c: other.Node(u8), d: other.Node(u8), e: [2]other.Node(bool), f: other.Node(bool) };
    try expectBoth(Pairs, true, &.{
        \\{"a":{"a":1},"b":{"a":1},"c":{"b":1},"d":{"b":1},"e":[{"b":true},{"b":true}],"f":{"b":true}}
    });
    try expectBoth(Pairs, false, &.{
        \\{"a":{"a":1},"b":{"a":1},"c":{"b":1},"d":{"b":1},"e":[{"b":true},{"b":true}],"f":{"b":1}}
        ,
        \\{"a":{"a":1},"b":{"b":1},"c":{"b":1},"d":{"b":1},"e":[{"b":true},{"b":true}],"f":{"b":true}}
    });
}

fn Doubled(comptime T: type) type {
    return struct { left: T, right: T };
}

test "a type that parses itself names its schema" {
    const Even8 = struct {
        number: u8,

        pub const maze_schema = "{\"type\": \"integer\", \"minimum\": 0, \"maximum\": 254, \"multipleOf\": 2}";

        pub fn jsonParse(allocator: std.mem.Allocator, source: anytype, options: std.json.ParseOptions) !@This() {
            const number = try std.json.innerParse(u8, allocator, source, options);
            return if (number % 2 == 0) .{ .number = number } else error.UnexpectedToken;
        }
    };
    try expectBoth(Even8, true, &.{ "0", "254" });
    try expectBoth(Even8, false, &.{ "1", "256" });
    try expectBoth(struct { even: Even8 = .{ .number = 2 } }, true, &.{ "{}", "{\"even\": 4}" });
}

test "a model gives a value of a type, and other constraints hold as well" {
    const Colour = struct {
        colour: enum { red, green, blue },
        bright: bool,
        codes: [2]u8,
        note: ?[]const u8 = null,

        pub const maze_docs = .{ .colour = "the colour asked for" };
    };
    var sky = try maze.generateAs(Colour, gpa, .{ .raw_input = "Name a colour of the sky, as JSON." }, .{
        .list = &.{.{ .regex_patterns = &.{"blue|green"} }},
    }, .{ .max_tokens = 120, .temperature = 0 });
    defer sky.deinit();
    try testing.expectEqualStrings("", sky.result.message());
    const value = try sky.value();
    try testing.expect(value.colour != .red);

    // The same in two steps; the value outlives the result.
    var result = try maze.generate(gpa, .{ .raw_input = "Name a tree, as JSON." }, .{
        .list = &.{.{ .json_schema = maze.schemaOf([]const Level) }},
    }, .{ .max_tokens = 60, .temperature = 0, .when_cut_off = .complete });
    const levels = result.parse([]const Level, gpa);
    result.deinit();
    (try levels).deinit();
}

test "a call that failed has no value, and tells why" {
    var failed = try maze.generateAs(Tree, gpa, .{ .raw_input = "" }, .none, .{});
    defer failed.deinit();
    try testing.expectError(error.InvalidArgument, failed.value());
    try testing.expect(failed.result.message().len > 0);
    try testing.expectError(error.NulByte, maze.generateAs(u8, gpa, .{ .raw_input = "a\x00" }, .none, .{}));

    var other = try maze.compile(gpa, .none, .{});
    defer other.deinit();
    try testing.expectError(error.UnexpectedEndOfInput, other.parse(u8, gpa));
}
