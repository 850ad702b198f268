//! Constraints that Braid made: in its C layout, taken as they are, and as its own structs, which are written down as
//! Braid's C interface writes them.

const std = @import("std");
const Allocator = std.mem.Allocator;
const c = @import("c.zig");
const ConstraintIRFFI = c.ConstraintIRFFI;
const errors = @import("errors.zig");

/// Constraints that are laid out for C when a call is made. They are borrowed until it returns.
pub const Deferred = struct {
    first: *const anyopaque,
    count: usize,
    lay_out: *const fn (Deferred, Allocator) errors.CallError![]const ConstraintIRFFI,
};

/// What `given` points to: one, an array, a slice, or `.{ pointer, length }`.
pub fn sliceOf(given: anytype) []const Element(@TypeOf(given)) {
    const Given = @TypeOf(given);
    switch (@typeInfo(Given)) {
        .@"struct" => {
            const count: usize = given[1];
            return if (count == 0) &.{} else given[0][0..count];
        },
        .pointer => |pointer| return if (pointer.size == .one and @typeInfo(pointer.child) != .array) given[0..1] else given,
        else => comptime unreachable,
    }
}

fn Element(comptime Given: type) type {
    switch (@typeInfo(Given)) {
        .pointer => |pointer| switch (pointer.size) {
            .slice => return pointer.child,
            .one => return switch (@typeInfo(pointer.child)) {
                .array => |array| array.child,
                else => pointer.child,
            },
            .many, .c => @compileError(@typeName(Given) ++ " does not say how many constraints there are: write " ++
                "irs[0..len] or .{ irs, len }"),
        },
        .optional => @compileError(@typeName(Given) ++ " may be null: unwrap it, as in irs.?"),
        .@"struct" => |info| if (info.is_tuple and std.meta.fieldNames(Given).len == 2) {
            switch (@typeInfo(@FieldType(Given, "0"))) {
                .pointer => |pointer| if (pointer.size == .many or pointer.size == .c) return pointer.child,
                else => {},
            }
        },
        else => {},
    }
    @compileError(@typeName(Given) ++ " does not point to constraints: give a pointer to one (&ir), a slice (&irs, " ++
        "irs[0..len]) or a pointer with its length (.{ irs, len })");
}

/// Structs that are laid out as `ConstraintIRFFI`, as they lie in memory.
pub fn inPlace(comptime Ir: type, irs: []const Ir) []const ConstraintIRFFI {
    comptime assertLayout(Ir);
    return @ptrCast(irs);
}

/// Pointers to structs that are laid out as `ConstraintIRFFI`.
pub fn gathered(comptime Pointer: type, irs: []const Pointer) Deferred {
    comptime assertLayout(@typeInfo(Pointer).pointer.child);
    return .{ .first = @ptrCast(irs.ptr), .count = irs.len, .lay_out = struct {
        fn layOut(deferred: Deferred, arena: Allocator) errors.CallError![]const ConstraintIRFFI {
            const pointers: [*]const *const ConstraintIRFFI = @ptrCast(@alignCast(deferred.first));
            const copies = try arena.alloc(ConstraintIRFFI, deferred.count);
            for (copies, pointers[0..deferred.count]) |*copy, pointer| copy.* = pointer.*;
            return copies;
        }
    }.layOut };
}

fn assertLayout(comptime Braid: type) void {
    const ours = std.meta.fieldNames(ConstraintIRFFI);
    if (@typeInfo(Braid) != .@"struct" or @typeInfo(Braid).@"struct".layout != .@"extern" or
        std.meta.fieldNames(Braid).len != ours.len or @sizeOf(Braid) != @sizeOf(ConstraintIRFFI))
    {
        @compileError(@typeName(Braid) ++ " is not laid out as ConstraintIRFFI of include/maze.h" ++
            if (isNative(Braid)) "; for Braid's own struct there is Constraints.fromIR" else "");
    }
    for (ours) |name| {
        if (!@hasField(Braid, name) or @offsetOf(Braid, name) != @offsetOf(ConstraintIRFFI, name) or
            @sizeOf(@FieldType(Braid, name)) != @sizeOf(@FieldType(ConstraintIRFFI, name)))
            @compileError(@typeName(Braid) ++ "." ++ name ++ " is not as in ConstraintIRFFI of include/maze.h");
    }
}

fn isNative(comptime T: type) bool {
    return @typeInfo(T) == .@"struct" and @hasField(T, "json_schema") and !@hasField(T, "magic");
}

/// Braid's own structs, or pointers to them.
pub fn native(comptime Given: type, irs: []const Given) Deferred {
    const by_pointer = @typeInfo(Given) == .pointer;
    const Ir = if (by_pointer) @typeInfo(Given).pointer.child else Given;
    comptime assertNative(Ir);
    return .{ .first = @ptrCast(irs.ptr), .count = irs.len, .lay_out = struct {
        fn layOut(deferred: Deferred, arena: Allocator) errors.CallError![]const ConstraintIRFFI {
            const natives: [*]const Given = @ptrCast(@alignCast(deferred.first));
            const ffis = try arena.alloc(ConstraintIRFFI, deferred.count);
            for (ffis, natives[0..deferred.count]) |*ffi, *ir| ffi.* = try fromNative(Ir, if (by_pointer) ir.* else ir, arena);
            return ffis;
        }
    }.layOut };
}

fn fromNative(comptime Ir: type, ir: *const Ir, arena: Allocator) errors.CallError!ConstraintIRFFI {
    if (@hasField(Ir, "hole_specs") and ir.hole_specs.len > 0) return error.UnsupportedConstraint;

    var ffi: ConstraintIRFFI = .{ .priority = ir.priority };
    if (@as(Optional(@TypeOf(ir.json_schema)), ir.json_schema)) |schema|
        ffi.json_schema = try asJson(arena, .{
            .schema_type = schema.type,
            .properties = if (schema.properties) |properties| std.json.Value{ .object = properties } else null,
            .required = schema.required,
            .additional_properties = schema.additional_properties,
        });
    if (@as(Optional(@TypeOf(ir.grammar)), ir.grammar)) |grammar|
        ffi.grammar = try asJson(arena, .{
            .start_symbol = grammar.start_symbol,
            .rules = try rulesOf(grammar.rules, arena),
        });

    var patterns: std.ArrayList([*:0]const u8) = .empty;
    for (ir.regex_patterns) |regex| try patterns.append(arena, try zeroTerminated(arena, if (regex.flags.len > 0)
        &.{ regex.pattern, "|FLAGS:", regex.flags }
    else
        &.{regex.pattern}));
    if (@as(Optional(@TypeOf(ir.token_masks)), ir.token_masks)) |masks| {
        ffi.token_masks = try tokenMasks(masks, arena);
        if (try lengthPattern(masks, arena)) |pattern| try patterns.append(arena, pattern);
    }
    if (patterns.items.len > 0) ffi.regex_patterns = patterns.items.ptr;
    ffi.regex_patterns_len = patterns.items.len;
    return ffi;
}

/// A production of a grammar as Braid's C interface writes it.
const Rule = struct { lhs: []const u8, rhs: []const []const u8 };

/// An optional rule is one that has an empty alternative as well.
fn rulesOf(rules: anytype, arena: Allocator) Allocator.Error![]const Rule {
    var written: std.ArrayList(Rule) = .empty;
    for (rules) |rule| {
        try written.append(arena, .{ .lhs = rule.lhs, .rhs = rule.rhs });
        if (@hasField(@TypeOf(rule), "is_optional") and rule.is_optional)
            try written.append(arena, .{ .lhs = rule.lhs, .rhs = &.{} });
    }
    return written.items;
}

fn tokenMasks(masks: anytype, arena: Allocator) errors.CallError!*const c.TokenMaskRulesFFI {
    inline for (.{ "min_tokens", "max_tokens" }) |name| {
        // What counts is the engine's tokens, not what a text says.
        if (@hasField(@TypeOf(masks), name) and @field(masks, name) != null) return error.UnsupportedConstraint;
    }
    const allowed: []const u32 = masks.allowed_tokens orelse &.{};
    const forbidden: []const u32 = masks.forbidden_tokens orelse &.{};
    const rules = try arena.create(c.TokenMaskRulesFFI);
    rules.* = .{
        .allowed_tokens = if (allowed.len == 0) null else allowed.ptr,
        .allowed_tokens_len = allowed.len,
        .forbidden_tokens = if (forbidden.len == 0) null else forbidden.ptr,
        .forbidden_tokens_len = forbidden.len,
    };
    return rules;
}

/// How many characters the text has, where the masks say that.
fn lengthPattern(masks: anytype, arena: Allocator) errors.CallError!?[*:0]const u8 {
    const Masks = @TypeOf(masks);
    const least: ?usize = if (@hasField(Masks, "min_characters")) masks.min_characters else null;
    const most: ?usize = if (@hasField(Masks, "max_characters")) masks.max_characters else null;
    if (least == null and most == null) return null;
    const range = if (most) |number|
        try std.fmt.allocPrint(arena, "{d},{d}", .{ least orelse 0, number })
    else
        try std.fmt.allocPrint(arena, "{d},", .{least.?});
    return try zeroTerminated(arena, &.{ "^[\\s\\S]{", range, "}$" });
}

fn asJson(arena: Allocator, value: anytype) errors.CallError![*:0]const u8 {
    const text = try std.json.Stringify.valueAlloc(arena, value, .{ .emit_null_optional_fields = false });
    return zeroTerminated(arena, &.{text});
}

fn zeroTerminated(arena: Allocator, parts: []const []const u8) errors.CallError![*:0]const u8 {
    for (parts) |part| if (std.mem.indexOfScalar(u8, part, 0) != null) return error.NulByte;
    return (try std.mem.joinZ(arena, "", parts)).ptr;
}

fn Optional(comptime T: type) type {
    return if (@typeInfo(T) == .optional) T else ?T;
}

/// What the fields of Braid's own structs are called and hold. Fields of other names say nothing about the text.
fn assertNative(comptime Ir: type) void {
    const path = @typeName(Ir);
    if (@typeInfo(Ir) != .@"struct") @compileError(path ++ " is no ConstraintIR of Braid's, which is a struct");
    if (@hasField(Ir, "magic")) @compileError(path ++ " is Braid's struct for C: pass it to Constraints.braid");

    const Schema = Inner(Ir, path, "json_schema");
    const schema_path = path ++ ".json_schema";
    assertText(Schema, schema_path, "type");
    if (Optional(Field(Schema, schema_path, "properties")) != ?std.json.ObjectMap)
        wrong(Schema, schema_path, "properties", "?std.json.ObjectMap");
    assertTexts(Schema, schema_path, "required");
    if (Field(Schema, schema_path, "additional_properties") != bool)
        wrong(Schema, schema_path, "additional_properties", "bool");

    const Grammar = Inner(Ir, path, "grammar");
    const grammar_path = path ++ ".grammar";
    assertText(Grammar, grammar_path, "start_symbol");
    const Production = Item(Grammar, grammar_path, "rules");
    assertText(Production, grammar_path ++ ".rules[]", "lhs");
    assertTexts(Production, grammar_path ++ ".rules[]", "rhs");
    if (@hasField(Production, "is_optional") and @FieldType(Production, "is_optional") != bool)
        wrong(Production, grammar_path ++ ".rules[]", "is_optional", "bool");

    const Regex = Item(Ir, path, "regex_patterns");
    assertText(Regex, path ++ ".regex_patterns[]", "pattern");
    assertText(Regex, path ++ ".regex_patterns[]", "flags");

    const Masks = Inner(Ir, path, "token_masks");
    const masks_path = path ++ ".token_masks";
    for (.{ "allowed_tokens", "forbidden_tokens" }) |name| {
        if (!isSliceOf(Unwrapped(Field(Masks, masks_path, name)), u32)) wrong(Masks, masks_path, name, "?[]const u32");
    }
    for (.{ "min_tokens", "max_tokens", "min_characters", "max_characters" }) |name| {
        if (@hasField(Masks, name) and @typeInfo(@FieldType(Masks, name)) != .optional)
            wrong(Masks, masks_path, name, "?usize");
    }

    switch (@typeInfo(Field(Ir, path, "priority"))) {
        .int => |int| if (int.bits > 32 or int.signedness == .signed) wrong(Ir, path, "priority", "u32"),
        else => wrong(Ir, path, "priority", "u32"),
    }
    if (@hasField(Ir, "hole_specs") and !isSlice(@FieldType(Ir, "hole_specs")))
        wrong(Ir, path, "hole_specs", "a slice");
}

fn Field(comptime T: type, comptime path: []const u8, comptime name: []const u8) type {
    if (!@hasField(T, name)) @compileError(path ++ " has no field " ++ name ++ ", as Braid's has");
    return @FieldType(T, name);
}

/// The struct of a field, which may be optional.
fn Inner(comptime T: type, comptime path: []const u8, comptime name: []const u8) type {
    const Found = Unwrapped(Field(T, path, name));
    if (@typeInfo(Found) != .@"struct") wrong(T, path, name, "an optional struct");
    return Found;
}

/// The struct of a field that is a slice of them.
fn Item(comptime T: type, comptime path: []const u8, comptime name: []const u8) type {
    const Found = Field(T, path, name);
    if (!isSlice(Found) or @typeInfo(@typeInfo(Found).pointer.child) != .@"struct") wrong(T, path, name, "a slice of structs");
    return @typeInfo(Found).pointer.child;
}

fn assertText(comptime T: type, comptime path: []const u8, comptime name: []const u8) void {
    if (!isSliceOf(Field(T, path, name), u8)) wrong(T, path, name, "[]const u8");
}

fn assertTexts(comptime T: type, comptime path: []const u8, comptime name: []const u8) void {
    const Found = Field(T, path, name);
    if (!isSlice(Found) or @typeInfo(Found).pointer.child != []const u8) wrong(T, path, name, "[]const []const u8");
}

fn wrong(comptime T: type, comptime path: []const u8, comptime name: []const u8, comptime expected: []const u8) noreturn {
    @compileError(path ++ "." ++ name ++ " is " ++ @typeName(@FieldType(T, name)) ++ ", not " ++ expected ++ " as Braid's is");
}

fn Unwrapped(comptime T: type) type {
    return switch (@typeInfo(T)) {
        .optional => |optional| optional.child,
        else => T,
    };
}

fn isSlice(comptime T: type) bool {
    return @typeInfo(T) == .pointer and @typeInfo(T).pointer.size == .slice;
}

fn isSliceOf(comptime T: type, comptime Child: type) bool {
    return isSlice(T) and @typeInfo(T).pointer.child == Child;
}
