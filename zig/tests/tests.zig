test {
    _ = @import("layout.zig");
}
