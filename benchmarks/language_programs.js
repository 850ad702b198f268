// What node, the TypeScript compiler and prettier say of texts: `node language_programs.js COMMAND`, with a JSON array
// of texts in and one of answers out. Run in a folder below which npm has installed them.
"use strict";
const { readFileSync } = require("fs");
const path = require("path");
const vm = require("vm");
const load = (name) => require(path.join(process.cwd(), "node_modules", name));

// Whether these words may stand depends on the functions and loops around them: each is judged as one of like syntax.
const word = (text, flags) => new RegExp(String.raw`(?<!(?<!\.\.)\.|[\w$#])${text}`, flags);
const withoutContext = (text) =>
  text
    .replace(word(String.raw`for await \(`, "g"), "for (")
    .replace(word("await ", "g"), "typeof ")
    .replace(/\((\s*)yield(\s*)\)/g, "($1_$2)")
    .replace(word(String.raw`yield\*? (?!as [\w$]|from ["']|[=},])`, "g"), "_ = ")
    .replace(word(String.raw`(break|continue)( [\w$]+)?;`, "g"), "debugger;")
    .replace(word(String.raw`super(?=\s*[.[(])`, "g"), "_")
    .replace(word(String.raw`import\.meta`, "g"), "_")
    .replace(word(String.raw`new\.target`, "g"), "_")
    .replace(/#(?=[A-Za-z_$])/g, "$");

const parsed = (text) => {
  const ts = load("typescript");
  return ts.createSourceFile("a.ts", text, ts.ScriptTarget.Latest, true);
};

const commands = {
  javascript(text) {
    try {
      new vm.SourceTextModule(withoutContext(text));
      return null;
    } catch (error) {
      return error.message;
    }
  },
  typescript(text) {
    const [first] = parsed(withoutContext(text)).parseDiagnostics;
    return first ? load("typescript").flattenDiagnosticMessageText(first.messageText, " ") : null;
  },
  prettier_javascript: (text) => load("prettier").format(text, { parser: "babel" }),
  prettier_typescript: (text) => load("prettier").format(text, { parser: "typescript" }),
  // The declarations of functions in a text, without the indentation they have there.
  functions(text) {
    const ts = load("typescript");
    const source = parsed(text);
    const found = [];
    const visit = (node) => {
      if (ts.isFunctionDeclaration(node) && node.name && node.body) {
        const start = node.getStart();
        const indentation = " ".repeat(source.getLineAndCharacterOfPosition(start).character);
        const modifiers = (node.modifiers ?? []).filter((each) => each.kind !== ts.SyntaxKind.AsyncKeyword);
        const begin = modifiers.length ? modifiers.at(-1).end + 1 : start;
        found.push(text.slice(begin, node.end).split("\n" + indentation).join("\n"));
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
  },
};

(async () => {
  const answers = [];
  for (const text of JSON.parse(readFileSync(0, "utf8"))) {
    try {
      answers.push(await commands[process.argv[2]](text));
    } catch {
      answers.push(process.argv[2] === "functions" ? [] : null);
    }
  }
  console.log(JSON.stringify(answers));
})();
