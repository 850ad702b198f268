//! What `zig build test` runs. Silent on success: the build runner shows what a test prints as a failure.

test {
    _ = @import("layout.zig");
    _ = @import("wrapper.zig");
    _ = @import("braid.zig");
    _ = @import("typed.zig");
    _ = @import("generation.zig");
}
