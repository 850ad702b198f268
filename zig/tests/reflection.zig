//! What `@typeInfo` says of a type, which Zig 0.15, 0.16 and 0.17 say differently.

const std = @import("std");

/// The number of an enum's value; the built-in function for it has another name in 0.17.
pub fn intOf(comptime value: anytype) @typeInfo(@TypeOf(value)).@"enum".tag_type {
    const Tagged = packed struct { value: @TypeOf(value) };
    return @bitCast(Tagged{ .value = value });
}

/// The names of the public declarations of a container.
pub fn declNames(comptime T: type) []const []const u8 {
    const info = @typeInfo(T).@"struct";
    if (@hasField(@TypeOf(info), "decl_names")) return info.decl_names;
    comptime {
        var names: [info.decls.len][]const u8 = undefined;
        for (info.decls, &names) |declaration, *name| name.* = declaration.name;
        const found = names;
        return &found;
    }
}

/// The types of the parameters of a function that is not generic.
pub fn parameterTypes(comptime info: std.builtin.Type.Fn) []const type {
    comptime {
        const given = if (@hasField(@TypeOf(info), "param_types")) info.param_types else info.params;
        var types: [given.len]type = undefined;
        for (given, &types) |each, *T| T.* = if (@TypeOf(each) == ?type) each.? else each.type.?;
        const found = types;
        return &found;
    }
}

pub fn isConst(comptime info: std.builtin.Type.Pointer) bool {
    return if (@hasField(@TypeOf(info), "attrs")) info.attrs.@"const" else info.is_const;
}
