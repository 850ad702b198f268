//! `zig build run`: a language model plans a function and then writes it, each time under a constraint that its output
//! cannot break, and every stage is shown.

const std = @import("std");
const maze = @import("maze");
const Terminal = @import("terminal.zig").Terminal;

const Task = struct {
    title: []const u8,
    intent: maze.Intent,
    constraint: maze.Constraint,
};

const tasks = [_]Task{
    .{
        .title = "A plan that obeys a JSON Schema",
        .intent = .{
            .raw_input = "Plan a Python function that converts degrees Celsius to Fahrenheit. " ++
                "Answer in JSON with name, summary, parameters, returns and lines.",
        },
        .constraint = .{
            .name = "plan",
            .json_schema =
            \\{"type": "object",
            \\ "properties": {
            \\   "name": {"type": "string", "pattern": "^[a-z]+(_[a-z]+){1,3}$", "maxLength": 32},
            \\   "summary": {"type": "string", "pattern": "^[A-Z][A-Za-z ,']{10,80}\\.$"},
            \\   "parameters": {"type": "array", "minItems": 1, "maxItems": 1, "items": {
            \\     "type": "object",
            \\     "properties": {
            \\       "name": {"type": "string", "pattern": "^[a-z]{1,12}$"},
            \\       "type": {"enum": ["int", "float", "str", "bool"]}},
            \\     "required": ["name", "type"], "additionalProperties": false}},
            \\   "returns": {"enum": ["int", "float", "str", "bool"]},
            \\   "lines": {"type": "integer", "minimum": 1, "maximum": 20}},
            \\ "required": ["name", "summary", "parameters", "returns", "lines"],
            \\ "additionalProperties": false}
            ,
        },
    },
    .{
        .title = "Code that obeys a regular expression",
        .intent = .{
            .raw_input = "Write a Python function that converts a temperature from Celsius to Fahrenheit.",
        },
        .constraint = .{
            .name = "one-line function",
            .regex_patterns = &.{
                "^def [a-z]+(_[a-z]+){1,3}\\([a-z]{1,12}: (int|float)\\) -> (int|float):\\n" ++
                    "    return [a-z]+( [*/+-] (\\([0-9] / [0-9]\\)|[0-9]{1,3}(\\.[0-9])?)){1,2}$",
            },
        },
    },
};

/// What the demo reads of `maze.Result.json`.
const Report = struct {
    provenance: struct { model: []const u8, backend: []const u8 },
    validation: struct {
        outcomes: []const struct {
            path: []const u8,
            name: []const u8,
            handling: []const u8,
            satisfied: ?bool,
        },
    },
    metadata: struct {
        tokens_generated: u64,
        total_time_ms: f64,
        compile_time_ms: f64,
        first_token_ms: ?f64,
        time_per_token_us: ?f64,
        validation_time_ms: f64,
        cache_hit: bool,
    },
};

pub fn main() !void {
    const terminal: Terminal = .ofStandardOutput();
    run(std.heap.c_allocator, terminal) catch |err| switch (err) {
        error.DemoFailed => std.c.exit(1), // the reason is on the terminal already
        else => |other| return other,
    };
}

fn run(gpa: std.mem.Allocator, terminal: Terminal) !void {
    try terminal.print("libmaze {s}: code from a language model that provably obeys constraints\n\n", .{maze.version()});

    try terminal.print("Loading the model ... ", .{});
    const started_ms = milliseconds();
    var health = maze.healthCheck();
    defer health.deinit();
    health.check() catch return fail(terminal, health);
    try terminal.print("ready after {d} ms\n", .{milliseconds() - started_ms});

    for (tasks, 1..) |task, number| {
        try terminal.show(.bold, "\n{d}. {s}\n", .{ number, task.title });
        try show(gpa, terminal, task);
    }
}

fn milliseconds() i64 {
    var now: std.c.timespec = undefined;
    _ = std.c.clock_gettime(.MONOTONIC, &now);
    return @as(i64, now.sec) * 1000 + @divTrunc(now.nsec, 1_000_000);
}

fn show(gpa: std.mem.Allocator, terminal: Terminal, task: Task) !void {
    try label(terminal, "Prompt");
    try terminal.print("{s}\n", .{task.intent.raw_input});
    if (task.constraint.json_schema) |schema| {
        try label(terminal, "Constraint: JSON Schema");
        try terminal.print("{s}\n", .{schema});
    }
    for (task.constraint.regex_patterns) |pattern| {
        try label(terminal, "Constraint: regular expression");
        try terminal.print("{s}\n", .{pattern});
    }

    try label(terminal, "Generated");
    var result = try maze.generateStream(gpa, task.intent, .{ .list = &.{task.constraint} }, .{
        .max_tokens = 200,
        .temperature = 0,
    }, terminal, showText);
    defer result.deinit();
    try terminal.print("\n", .{});
    _ = result.code() catch return fail(terminal, result);

    const parsed = try std.json.parseFromSlice(Report, gpa, result.json(), .{ .ignore_unknown_fields = true });
    defer parsed.deinit();
    const report = parsed.value;

    try label(terminal, "Validation");
    for (report.validation.outcomes) |outcome| {
        const satisfied = outcome.satisfied orelse continue;
        try terminal.show(if (satisfied) .green else .red, "{s}", .{if (satisfied) "satisfied" else "violated"});
        try terminal.print("  {s} ({s}), {s} while decoding\n", .{ outcome.path, outcome.name, outcome.handling });
    }

    const times = report.metadata;
    try label(terminal, "Time");
    try terminal.print("{d:>9.1} ms  compile the constraint{s}\n", .{
        times.compile_time_ms,
        if (times.cache_hit) " (found in the cache)" else "",
    });
    if (times.first_token_ms) |ms| try terminal.print("{d:>9.1} ms  first token\n", .{ms});
    if (times.time_per_token_us) |us| try terminal.print("{d:>9.1} ms  each token after it ({d:.0} tokens/s)\n", .{
        us / 1000,
        std.time.us_per_s / us,
    });
    try terminal.print("{d:>9.1} ms  validate the text\n", .{times.validation_time_ms});
    try terminal.print("{d:>9.1} ms  in total, for {d} tokens of {s} ({s})\n", .{
        times.total_time_ms,
        times.tokens_generated,
        report.provenance.model,
        report.provenance.backend,
    });
}

/// Shows a piece of text as soon as it arrives, and gives up if nobody can see it.
fn showText(terminal: Terminal, text: []const u8) bool {
    terminal.print("{s}", .{text}) catch return false;
    return true;
}

fn label(terminal: Terminal, text: []const u8) !void {
    try terminal.show(.cyan, "\n{s}\n", .{text});
}

fn fail(terminal: Terminal, result: maze.Result) error{ DemoFailed, WriteFailed } {
    try terminal.show(.red, "\n{s}\n", .{result.message()});
    return error.DemoFailed;
}
