//! What differs between Zig 0.15, 0.16 and 0.17.

/// The number of an enum's value. The built-in function for it has another name in 0.17, to which its `zig fmt` changes
/// the one that older versions know.
pub fn intOf(value: anytype) @typeInfo(@TypeOf(value)).@"enum".tag_type {
    const Tagged = packed struct { value: @TypeOf(value) };
    return @bitCast(Tagged{ .value = value });
}
