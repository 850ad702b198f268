//! What differs between Zig 0.15, 0.16 and 0.17.

const std = @import("std");

/// The number of an enum's value. The built-in function for it has another name in 0.17, to which its `zig fmt` changes
/// the one that older versions know.
pub fn intOf(value: anytype) @typeInfo(@TypeOf(value)).@"enum".tag_type {
    const Tagged = packed struct { value: @TypeOf(value) };
    return @bitCast(Tagged{ .value = value });
}

/// Whether every value of an enum has a name.
pub fn isExhaustive(comptime Enum: type) bool {
    const info = @typeInfo(Enum).@"enum";
    return if (@hasField(@TypeOf(info), "mode")) info.mode == .exhaustive else info.is_exhaustive;
}

/// Whether a field of a struct has a default.
pub fn hasDefault(comptime Struct: type, comptime name: []const u8) bool {
    const info = @typeInfo(Struct).@"struct";
    const index = std.meta.fieldIndex(Struct, name).?;
    const field = if (@hasField(@TypeOf(info), "field_attrs")) info.field_attrs[index] else info.fields[index];
    return field.default_value_ptr != null;
}

/// Whether a field exists only while compiling.
pub fn isComptimeField(comptime Container: type, comptime name: []const u8) bool {
    if (@typeInfo(Container) != .@"struct") return false;
    const info = @typeInfo(Container).@"struct";
    const index = std.meta.fieldIndex(Container, name).?;
    return if (@hasField(@TypeOf(info), "field_attrs")) info.field_attrs[index].@"comptime" else info.fields[index].is_comptime;
}
