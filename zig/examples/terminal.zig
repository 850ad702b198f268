//! A terminal to write to, by the means that Zig 0.15, 0.16 and 0.17 have in common: the C library.

const std = @import("std");

pub const Terminal = struct {
    /// Whether it shows colours.
    colours: bool,

    const stdout = 1;

    const Style = enum { bold, cyan, green, red };

    pub fn ofStandardOutput() Terminal {
        if (std.c.getenv("NO_COLOR") != null) return .{ .colours = false };
        return .{ .colours = std.c.isatty(stdout) != 0 or std.c.getenv("CLICOLOR_FORCE") != null };
    }

    pub fn print(_: Terminal, comptime format: []const u8, arguments: anytype) error{WriteFailed}!void {
        var buffer: [16 * 1024]u8 = undefined;
        var left: []const u8 = std.fmt.bufPrint(&buffer, format, arguments) catch return error.WriteFailed;
        while (left.len > 0) {
            const written = std.c.write(stdout, left.ptr, left.len);
            if (written < 0) return error.WriteFailed;
            left = left[@intCast(written)..];
        }
    }

    pub fn show(terminal: Terminal, style: Style, comptime format: []const u8, arguments: anytype) error{WriteFailed}!void {
        if (terminal.colours) try terminal.print("\x1b[{s}m", .{switch (style) {
            .bold => "1",
            .cyan => "36",
            .green => "32",
            .red => "31",
        }});
        try terminal.print(format, arguments);
        if (terminal.colours) try terminal.print("\x1b[0m", .{});
    }
};
