//! Holds src/c.zig against include/maze.h, as translate-c reads it, at compile time: a header that changed and a
//! declaration that did not follow fail the build.

const std = @import("std");
const c = @import("maze").c;
const header = @import("header");
const reflection = @import("reflection.zig");

/// Macros of the header that are no declarations; the initialisers are compared below as values.
const not_declarations = [_][]const u8{ "MAZE_H", "MAZE_API", "MAZE_OPTIONS_INIT", "MAZE_CONFIG_INIT" };

/// The enums whose values are constants with this prefix in C.
const enums = .{
    .{ c.MazeUnenforceable, "MAZE_UNENFORCEABLE_" },
    .{ c.MazeConflict, "MAZE_CONFLICT_" },
    .{ c.MazeBraidGrammar, "MAZE_BRAID_GRAMMAR_" },
    .{ c.MazePromptForm, "MAZE_PROMPT_FORM_" },
    .{ c.MazeRole, "MAZE_ROLE_" },
    .{ c.MazeWhenCutOff, "MAZE_WHEN_CUT_OFF_" },
    .{ c.MazeLogLevel, "MAZE_LOG_" },
    .{ c.MazeStatus, "MAZE_" },
};

comptime {
    @setEvalBranchQuota(1_000_000);
    // Nothing that the header declares is missing or different here ...
    for (reflection.declNames(header)) |name| {
        if (isOfMaze(name) and !isOneOf(name, &not_declarations)) compareDeclaration(name);
    }
    // ... and nothing is declared here that the header does not have.
    for (reflection.declNames(c)) |name| {
        if (!@hasDecl(header, name)) @compileError("include/maze.h does not declare " ++ name);
    }
    for (enums) |entry| {
        const Enum, const prefix = entry;
        for (std.meta.fieldNames(Enum)) |field| {
            if (!@hasDecl(header, prefix ++ upper(field)))
                @compileError("include/maze.h does not have " ++ prefix ++ upper(field));
        }
    }
}

fn isOfMaze(comptime name: []const u8) bool {
    return std.mem.startsWith(u8, name, "MAZE_") or std.mem.startsWith(u8, name, "maze_") or
        std.mem.startsWith(u8, name, "Maze") or std.mem.endsWith(u8, name, "_ffi") or
        (std.mem.endsWith(u8, name, "FFI") and !std.mem.startsWith(u8, name, "struct_"));
}

fn compareDeclaration(comptime name: []const u8) void {
    if (@hasDecl(c, name)) {
        // Functions are looked at by type alone: to name their values would link them.
        const Ours = @TypeOf(@field(c, name));
        return switch (@typeInfo(Ours)) {
            .type => compareTypes(@field(header, name), @field(c, name), name),
            .@"fn" => compareTypes(@TypeOf(@field(header, name)), Ours, name),
            .pointer => if (!std.mem.eql(u8, @field(header, name), @field(c, name))) differ(name, "value"),
            else => if (@field(header, name) != @field(c, name)) differ(name, "value"),
        };
    }
    for (enums) |entry| {
        const Enum, const prefix = entry;
        if (std.mem.startsWith(u8, name, prefix)) {
            for (std.meta.fieldNames(Enum)) |field| {
                if (std.mem.eql(u8, name[prefix.len..], upper(field))) {
                    return if (@field(header, name) != reflection.intOf(@field(Enum, field))) differ(name, "value");
                }
            }
        }
    }
    @compileError("src/c.zig does not declare " ++ name);
}

/// Whether two types look the same to C: same size, kind and constness, same fields at the same offsets.
fn compareTypes(comptime Theirs: type, comptime Ours: type, comptime path: []const u8) void {
    const their_info = @typeInfo(withoutOptional(Theirs));
    switch (@typeInfo(withoutOptional(Ours))) {
        .@"struct" => {
            if (their_info != .@"struct") differ(path, "kind");
            if (@sizeOf(Theirs) != @sizeOf(Ours)) differ(path, "size");
            if (@alignOf(Theirs) != @alignOf(Ours)) differ(path, "alignment");
            const fields = std.meta.fieldNames(withoutOptional(Ours));
            if (std.meta.fieldNames(withoutOptional(Theirs)).len != fields.len) differ(path, "number of fields");
            for (fields) |field| {
                const field_path = path ++ "." ++ field;
                if (!@hasField(Theirs, field)) @compileError("include/maze.h does not have " ++ field_path);
                if (@offsetOf(Theirs, field) != @offsetOf(Ours, field)) differ(field_path, "offset");
                compareTypes(@FieldType(Theirs, field), @FieldType(Ours, field), field_path);
            }
        },
        .@"fn" => |ours| {
            if (their_info != .@"fn") differ(path, "kind");
            const theirs = their_info.@"fn";
            const parameters = reflection.parameterTypes(ours);
            if (reflection.parameterTypes(theirs).len != parameters.len) differ(path, "number of parameters");
            for (reflection.parameterTypes(theirs), parameters, 0..) |Their, Our, index| {
                compareTypes(Their, Our, std.fmt.comptimePrint("{s}, parameter {d}", .{ path, index }));
            }
            compareTypes(theirs.return_type.?, ours.return_type.?, path ++ ", return value");
        },
        .pointer => |ours| {
            if (their_info != .pointer) differ(path, "kind");
            if (reflection.isConst(their_info.pointer) != reflection.isConst(ours)) differ(path, "constness");
            compareTypes(their_info.pointer.child, ours.child, path ++ ", pointed to");
        },
        .@"enum" => |ours| if (Theirs != ours.tag_type) differ(path, "type"),
        else => if (Theirs != Ours) differ(path, "type"),
    }
}

fn withoutOptional(comptime T: type) type {
    return switch (@typeInfo(T)) {
        .optional => |optional| optional.child,
        else => T,
    };
}

fn differ(comptime path: []const u8, comptime what: []const u8) noreturn {
    @compileError("src/c.zig and include/maze.h differ in " ++ path ++ ": " ++ what);
}

fn isOneOf(comptime name: []const u8, comptime names: []const []const u8) bool {
    return for (names) |other| {
        if (std.mem.eql(u8, name, other)) break true;
    } else false;
}

fn upper(comptime name: []const u8) []const u8 {
    comptime {
        var buffer: [name.len]u8 = undefined;
        _ = std.ascii.upperString(&buffer, name);
        const constant = buffer;
        return &constant;
    }
}

fn expectSameFields(theirs: anytype, ours: anytype) !void {
    inline for (comptime std.meta.fieldNames(@TypeOf(ours))) |field| {
        const value = @field(ours, field);
        if (@typeInfo(@TypeOf(value)) == .optional) {
            try std.testing.expect(@field(theirs, field) == null and value == null);
        } else {
            try std.testing.expectEqual(@field(theirs, field), value);
        }
    }
}

test "the defaults of the option and configuration structs are the initialisers of the header" {
    try expectSameFields(header.header_options_init, c.MazeOptionsFFI{});
    try expectSameFields(header.header_config_init, c.MazeConfigFFI{});
}

test "the functions for languages without brace initialisers make the same" {
    var options: header.MazeOptionsFFI = undefined;
    header.maze_options_init(&options);
    try expectSameFields(options, c.MazeOptionsFFI{});
    var config: header.MazeConfigFFI = undefined;
    header.maze_config_init(&config);
    try expectSameFields(config, c.MazeConfigFFI{});
}
