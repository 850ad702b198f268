//! A stand-in for Ananke's library: the ABI of its Braid, and constraints that the real one made (tests/data/braid).
//!
//! In place of extracting constraints from a source it looks up the sample that is called so. All that it hands out is
//! its own, in memory of its own, and is freed by its own function alone.

const std = @import("std");

const TokenMaskRulesFFI = extern struct {
    allowed_tokens: ?[*]const u32,
    allowed_tokens_len: usize,
    forbidden_tokens: ?[*]const u32,
    forbidden_tokens_len: usize,
};

const ConstraintIRFFI = extern struct {
    magic: u64,
    json_schema: ?[*:0]const u8,
    grammar: ?[*:0]const u8,
    regex_patterns: ?[*]const [*:0]const u8,
    regex_patterns_len: usize,
    token_masks: ?*const TokenMaskRulesFFI,
    priority: u32,
    name: ?[*:0]const u8,
};

const magic: u64 = 0x414E4B455F464649;
const freed_magic: u64 = 0xDEADDEADDEADDEAD;

const Sample = struct {
    name_bytes_hex_debug_build: ?[]const u8 = null,
    priority: u32,
    json_schema: ?[]const u8 = null,
    grammar: ?[]const u8 = null,
    regex_patterns: []const []const u8 = &.{},
    token_masks: ?struct { allowed_tokens: ?[]const u32 = null, forbidden_tokens: ?[]const u32 = null } = null,
};

var debug_allocator: std.heap.DebugAllocator(.{}) = .init;
const gpa = debug_allocator.allocator();

/// One that was handed out, and the memory of all that hangs from it.
const Owned = struct { ir: ConstraintIRFFI, arena: std.heap.ArenaAllocator };

export fn ananke_extract_constraints(folder: [*:0]const u8, sample: [*:0]const u8, out: *?*ConstraintIRFFI) c_int {
    out.* = extract(std.mem.span(folder), std.mem.span(sample)) catch return 4;
    return 0;
}

fn extract(folder: []const u8, sample: []const u8) !*ConstraintIRFFI {
    const owned = try gpa.create(Owned);
    owned.arena = .init(gpa);
    errdefer {
        owned.arena.deinit();
        gpa.destroy(owned);
    }
    const arena = owned.arena.allocator();

    const path = try std.fs.path.join(arena, &.{ folder, sample });
    const text = try std.fs.cwd().readFileAlloc(arena, path, 1 << 20);
    const read = try std.json.parseFromSliceLeaky(Sample, arena, text, .{ .ignore_unknown_fields = true });

    const patterns = try arena.alloc([*:0]const u8, read.regex_patterns.len);
    for (patterns, read.regex_patterns) |*pattern, given| pattern.* = try arena.dupeZ(u8, given);
    var masks: ?*TokenMaskRulesFFI = null;
    if (read.token_masks) |given| {
        masks = try arena.create(TokenMaskRulesFFI);
        masks.?.* = .{
            .allowed_tokens = if (given.allowed_tokens) |ids| ids.ptr else null,
            .allowed_tokens_len = if (given.allowed_tokens) |ids| ids.len else 0,
            .forbidden_tokens = if (given.forbidden_tokens) |ids| ids.ptr else null,
            .forbidden_tokens_len = if (given.forbidden_tokens) |ids| ids.len else 0,
        };
    }
    owned.ir = .{
        .magic = magic,
        .json_schema = if (read.json_schema) |given| (try arena.dupeZ(u8, given)).ptr else null,
        .grammar = if (read.grammar) |given| (try arena.dupeZ(u8, given)).ptr else null,
        .regex_patterns = if (patterns.len > 0) patterns.ptr else null,
        .regex_patterns_len = patterns.len,
        .token_masks = masks,
        .priority = read.priority,
        // With the bytes 0xAA behind it that the real one leaves there.
        .name = if (read.name_bytes_hex_debug_build) |hex| try nameOf(arena, hex) else null,
    };
    return &owned.ir;
}

fn nameOf(arena: std.mem.Allocator, hex: []const u8) ![*:0]const u8 {
    const bytes = try arena.alloc(u8, hex.len / 2);
    _ = try std.fmt.hexToBytes(bytes, hex);
    return (try arena.dupeZ(u8, std.mem.sliceTo(bytes, 0))).ptr;
}

export fn ananke_free_constraint_ir(ir: ?*ConstraintIRFFI) void {
    const owned: *Owned = @fieldParentPtr("ir", ir orelse return);
    std.debug.assert(owned.ir.magic == magic);
    owned.ir.magic = freed_magic;
    owned.arena.deinit();
    gpa.destroy(owned);
}

/// Whether something that was handed out was not given back.
export fn ananke_has_leaked() bool {
    return debug_allocator.deinit() == .leak;
}
