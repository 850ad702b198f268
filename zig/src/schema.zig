//! The JSON Schema of a Zig type, made while compiling: what it accepts is what std.json parses as that type.

const std = @import("std");
const compat = @import("compat.zig");

/// The JSON Schema of `T`, as text: `std.json` parses every text that satisfies it, and what `std.json` writes of a `T`
/// satisfies it. A type that has no such schema fails the compilation, with the path of the field and what to write in
/// its place.
///
/// - Integers have the range of their type, at most 113 bits; floats are f16, f32 and f64. A `[]const u8` is a string, a
///   `[N]u8` one of N ASCII characters (`std.json` counts bytes, JSON Schema characters).
/// - An enum is the name of a value, a `union(enum)` an object with the name of the active field as its only key.
/// - A field of a struct may be left out if it has a default. An optional may be null. There are no other fields.
/// - A type may contain itself through pointers and slices. `std.json.ArrayHashMap(T)` is an object with any keys,
///   `std.json.Value` any JSON.
/// - `pub const maze_docs = .{ .field = "...", ... };` in a struct or a union describes its fields to the model.
/// - `pub const maze_schema = "...";` in a type is its schema instead, which a type that parses itself (`jsonParse`) needs.
pub fn schemaOf(comptime T: type) [:0]const u8 {
    return comptime std.fmt.comptimePrint("{s}", .{write(T)});
}

fn write(comptime T: type) []const u8 {
    // Types of any size: each field costs a few thousand steps at most.
    @setEvalBranchQuota(std.math.maxInt(u32));
    var types: Types = .{};
    types.visit(T, @typeName(T));
    const root = types.reference(T);
    if (types.shared.len == 0) return root;
    var definitions: []const u8 = "";
    for (types.shared, 0..) |Shared, index| {
        const comma = if (index == 0) "" else ",";
        definitions = definitions ++ comma ++ quoted(types.nameOf(Shared)) ++ ":" ++ types.definition(Shared);
    }
    return withMember(root, "$defs", "{" ++ definitions ++ "}");
}

/// The structs and unions in a type.
const Types = struct {
    seen: []const type = &.{},
    /// Those met more than once, which are written once and referred to: a type in itself has no other way, and a schema
    /// would double with each level of types that are used twice.
    shared: []const type = &.{},

    fn visit(comptime types: *Types, comptime T: type, comptime path: []const u8) void {
        if (own(T) != null) return;
        if (Map(T)) |Value| return types.visit(Value, path ++ "{}");
        switch (@typeInfo(T)) {
            .bool => {},
            .int => |int| if (int.bits > 113)
                refuse(T, path, "std.json reads no more than 113 bits exactly: write i64 or u64, or a string"),
            .float => |float| if (float.bits > 64)
                refuse(T, path, "std.json writes what no f64 holds as a string: write f64"),
            .optional => |optional| types.visit(optional.child, path),
            .array => |array| {
                if (array.sentinel() != null) refuse(T, path, "std.json does not set the sentinel: write a slice");
                if (array.child != u8) types.visit(array.child, path ++ "[]");
            },
            .vector => |vector| types.visit(vector.child, path ++ "[]"),
            .pointer => |pointer| switch (pointer.size) {
                .one => types.visit(pointer.child, path),
                .slice => if (pointer.child != u8) types.visit(pointer.child, path ++ "[]"),
                .many, .c => refuse(T, path, "its length is not known: write a slice, []const " ++ @typeName(pointer.child)),
            },
            .@"enum" => {
                refuseOwnParser(T, path);
                if (!compat.isExhaustive(T)) refuse(T, path, "values without a name have no text: write an enum without _");
                if (std.meta.fieldNames(T).len == 0) refuse(T, path, "it has no values: leave it out");
                if (@hasDecl(T, "maze_docs"))
                    refuse(T, path, "values of an enum are not described: describe the field that holds it");
                for (std.meta.fieldNames(T)) |name| refuseBytes(T, path, name);
            },
            .@"union" => |info| {
                refuseOwnParser(T, path);
                if (info.tag_type == null) refuse(T, path, "nothing says which field is active: write union(enum)");
                if (std.meta.fieldNames(T).len == 0) refuse(T, path, "it has no values: leave it out");
                types.visitFields(T, path);
            },
            .@"struct" => {
                refuseOwnParser(T, path);
                if (@hasDecl(T, "Slice") and @hasDecl(T, "initCapacity") and @hasField(T, "items"))
                    refuse(T, path, "std.json would read its capacity, too: write a slice");
                types.visitFields(T, path);
            },
            .void => refuse(T, path, "only a field of a union may hold nothing: leave it out"),
            .@"fn", .@"opaque" => refuse(T, path, "it is no data: leave it out, or declare another struct for the model"),
            .error_set => refuse(T, path, "std.json reads no errors: write an enum"),
            .error_union => refuse(T, path, "std.json reads no errors: write an optional, or a union(enum)"),
            .comptime_int => refuse(T, path, "it exists only while compiling: write i64"),
            .comptime_float => refuse(T, path, "it exists only while compiling: write f64"),
            else => refuse(T, path, "it is no data: leave it out"),
        }
    }

    fn visitFields(comptime types: *Types, comptime T: type, comptime path: []const u8) void {
        if (contains(types.seen, T)) {
            if (!contains(types.shared, T)) types.shared = types.shared ++ [_]type{T};
            return;
        }
        types.seen = types.seen ++ [_]type{T};
        for (std.meta.fieldNames(T)) |name| {
            const field_path = path ++ "." ++ name;
            refuseBytes(T, path, name);
            if (compat.isComptimeField(T, name))
                refuse(@FieldType(T, name), field_path, "a comptime field is no part of a value: write a default instead");
            if (@typeInfo(T) != .@"union" or @FieldType(T, name) != void) types.visit(@FieldType(T, name), field_path);
        }
        if (!@hasDecl(T, "maze_docs")) return;
        for (std.meta.fieldNames(@TypeOf(T.maze_docs))) |name| {
            if (!@hasField(T, name)) @compileError("maze.schemaOf: " ++ path ++ ".maze_docs describes " ++ name ++ ", which " ++
                @typeName(T) ++ " does not have as a field");
        }
    }

    /// The schema of `T`, by reference if it is shared.
    fn reference(comptime types: Types, comptime T: type) []const u8 {
        if (!contains(types.shared, T)) return types.definition(T);
        return "{\"$ref\":" ++ quoted("#/$defs/" ++ types.nameOf(T)) ++ "}";
    }

    fn definition(comptime types: Types, comptime T: type) []const u8 {
        if (own(T)) |schema| return schema;
        if (Map(T)) |Value| return "{\"type\":\"object\",\"additionalProperties\":" ++ types.reference(Value) ++ "}";
        switch (@typeInfo(T)) {
            .bool => return "{\"type\":\"boolean\"}",
            .int => return std.fmt.comptimePrint(
                "{{\"type\":\"integer\",\"minimum\":{d},\"maximum\":{d}}}",
                .{ std.math.minInt(T), std.math.maxInt(T) },
            ),
            // What is over these would become infinite. For f64 there is no such bound: numbers of 309 digits are not
            // worth the 617 that a model would have to read here.
            .float => |float| return switch (float.bits) {
                16 => "{\"type\":\"number\",\"minimum\":-65504,\"maximum\":65504}",
                32 => "{\"type\":\"number\",\"minimum\":-3.4028235e38,\"maximum\":3.4028235e38}",
                else => "{\"type\":\"number\"}",
            },
            .optional => |optional| return if (@typeInfo(optional.child) == .optional)
                types.reference(optional.child)
            else
                "{\"anyOf\":[" ++ types.reference(optional.child) ++ ",{\"type\":\"null\"}]}",
            .@"enum" => {
                var names: []const u8 = "";
                for (std.meta.fieldNames(T), 0..) |name, index|
                    names = names ++ (if (index == 0) "" else ",") ++ quoted(name);
                return "{\"enum\":[" ++ names ++ "]}";
            },
            .array => |array| return if (array.child == u8)
                std.fmt.comptimePrint("{{\"type\":\"string\",\"pattern\":\"^[\\\\x00-\\\\x7f]{{{d}}}$\"}}", .{array.len})
            else
                types.arrayOf(array.child, array.len),
            .vector => |vector| return types.arrayOf(vector.child, vector.len),
            .pointer => |pointer| return if (pointer.size == .one)
                types.reference(pointer.child)
            else if (pointer.child == u8)
                "{\"type\":\"string\"}"
            else
                "{\"type\":\"array\",\"items\":" ++ types.reference(pointer.child) ++ "}",
            .@"union" => {
                var alternatives: []const u8 = "";
                for (std.meta.fieldNames(T), 0..) |name, index| {
                    const comma = if (index == 0) "" else ",";
                    alternatives = alternatives ++ comma ++ object(types.property(T, name), quoted(name));
                }
                return "{\"anyOf\":[" ++ alternatives ++ "]}";
            },
            .@"struct" => |info| {
                var members: []const u8 = "";
                var required: []const u8 = "";
                for (std.meta.fieldNames(T), 0..) |name, index| {
                    const comma = if (index == 0) "" else ",";
                    if (info.is_tuple) {
                        members = members ++ comma ++ types.reference(@FieldType(T, name));
                        continue;
                    }
                    members = members ++ comma ++ types.property(T, name);
                    if (!compat.hasDefault(T, name)) required = required ++ (if (required.len == 0) "" else ",") ++ quoted(name);
                }
                if (!info.is_tuple) return object(members, required);
                const length = std.fmt.comptimePrint("\"minItems\":{d},\"maxItems\":{0d}", .{std.meta.fieldNames(T).len});
                const items = if (members.len == 0) "" else ",\"prefixItems\":[" ++ members ++ "]";
                return "{\"type\":\"array\"," ++ length ++ items ++ "}";
            },
            else => unreachable, // visit() refused it
        }
    }

    fn arrayOf(comptime types: Types, comptime Child: type, comptime length: comptime_int) []const u8 {
        const items = types.reference(Child);
        return std.fmt.comptimePrint("{{\"type\":\"array\",\"items\":{s},\"minItems\":{d},\"maxItems\":{1d}}}", .{ items, length });
    }

    /// A member of "properties": the name of a field, and its schema with its description.
    fn property(comptime types: Types, comptime T: type, comptime name: []const u8) []const u8 {
        const Field = @FieldType(T, name);
        const schema = if (Field == void) object("", "") else types.reference(Field);
        const described = @hasDecl(T, "maze_docs") and @hasField(@TypeOf(T.maze_docs), name);
        return quoted(name) ++ ":" ++
            (if (described) withMember(schema, "description", quoted(@field(T.maze_docs, name))) else schema);
    }

    /// The name of a shared type in the schema, which no other has.
    fn nameOf(comptime types: Types, comptime T: type) []const u8 {
        const name = plainName(T);
        var namesakes: usize = 0;
        for (types.shared) |Shared| {
            if (Shared == T) break;
            if (std.mem.eql(u8, plainName(Shared), name)) namesakes += 1;
        }
        return if (namesakes == 0) name else std.fmt.comptimePrint("{s}-{d}", .{ name, namesakes + 1 });
    }
};

fn object(comptime members: []const u8, comptime required: []const u8) []const u8 {
    return "{\"type\":\"object\",\"properties\":{" ++ members ++ "}," ++
        (if (required.len == 0) "" else "\"required\":[" ++ required ++ "],") ++ "\"additionalProperties\":false}";
}

/// A schema with another member in front.
fn withMember(comptime schema: []const u8, comptime name: []const u8, comptime value: []const u8) []const u8 {
    const rest = std.mem.trimStart(u8, schema, " \t\r\n")[1..];
    const is_empty = std.mem.trimStart(u8, rest, " \t\r\n")[0] == '}';
    return "{" ++ quoted(name) ++ ":" ++ value ++ (if (is_empty) "" else ",") ++ rest;
}

/// The schema that a type names as its own.
fn own(comptime T: type) ?[]const u8 {
    if (T == std.json.Value) return "{}";
    return switch (@typeInfo(T)) {
        .@"struct", .@"union", .@"enum" => if (@hasDecl(T, "maze_schema")) T.maze_schema else null,
        else => null,
    };
}

/// What a `std.json.ArrayHashMap` holds; null for other types.
fn Map(comptime T: type) ?type {
    if (@typeInfo(T) != .@"struct" or !@hasDecl(T, "jsonParse") or !@hasField(T, "map")) return null;
    const Unmanaged = @FieldType(T, "map");
    if (@typeInfo(Unmanaged) != .@"struct" or !@hasDecl(Unmanaged, "KV")) return null;
    const Value = @FieldType(Unmanaged.KV, "value");
    return if (T == std.json.ArrayHashMap(Value)) Value else null;
}

fn refuseOwnParser(comptime T: type, comptime path: []const u8) void {
    if (@hasDecl(T, "jsonParse"))
        refuse(T, path, "it parses itself (jsonParse): declare its schema, pub const maze_schema = \"{...}\"");
}

fn refuseBytes(comptime T: type, comptime path: []const u8, comptime name: []const u8) void {
    if (!std.unicode.utf8ValidateSlice(name)) refuse(T, path, "a name in it is not UTF-8: give it another");
}

fn refuse(comptime T: type, comptime path: []const u8, comptime reason: []const u8) noreturn {
    @compileError("maze.schemaOf: no schema for " ++ path ++ ", which is " ++ @typeName(T) ++ "; " ++ reason);
}

fn contains(comptime types: []const type, comptime T: type) bool {
    return for (types) |Other| {
        if (Other == T) break true;
    } else false;
}

/// The name of a type without where it is declared and what it was made of, in letters and digits.
pub fn plainName(comptime T: type) []const u8 {
    var name: []const u8 = "";
    var depth: usize = 0;
    for (@typeName(T)) |byte| switch (byte) {
        '(' => depth += 1,
        ')' => depth -|= 1,
        '.' => if (depth == 0) {
            name = "";
        },
        else => if (depth == 0) {
            name = name ++ [_]u8{if (std.ascii.isAlphanumeric(byte)) byte else '_'};
        },
    };
    return name;
}

/// A text in JSON.
fn quoted(comptime text: []const u8) []const u8 {
    if (!std.unicode.utf8ValidateSlice(text)) @compileError("maze.schemaOf: a description is not UTF-8: " ++ text);
    var json: []const u8 = "";
    var done: usize = 0;
    for (text, 0..) |byte, index| {
        if (byte >= 0x20 and byte != '"' and byte != '\\') continue;
        json = json ++ text[done..index] ++ std.fmt.comptimePrint("\\u{x:0>4}", .{byte});
        done = index + 1;
    }
    return "\"" ++ json ++ text[done..] ++ "\"";
}
