// Builds the page into dist/: index.html and its assets whose names carry their content's hash,
// so that a browser never mixes two versions.

import { build } from "esbuild";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });

const result = await build({
  absWorkingDir: root,
  // early.js is a file of its own because the server's content security policy allows no inline script.
  entryPoints: ["src/main.ts", "static/app.css", "static/early.js"],
  outdir: "dist/assets",
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022", "safari16"],
  legalComments: "eof",
  metafile: true,
  logLevel: "warning",
});

const outputs = Object.entries(result.metafile.outputs);
const asset = (name, ending) => {
  const named = (path) => path.startsWith(`dist/assets/${name}-`) && path.endsWith(ending);
  const found = outputs.map(([path]) => path).find(named);
  if (found === undefined) throw new Error(`the build made no ${name}${ending}`);
  return found.replace(/^dist\//, "");
};

const page = await readFile(join(root, "static/index.html"), "utf8");
const built = page
  .replace("%CSS%", asset("app", ".css"))
  .replace("%EARLY%", asset("early", ".js"))
  .replace("%JS%", asset("main", ".js"));
await writeFile(join(dist, "index.html"), built);

for (const [path, { bytes }] of outputs) console.log(`${path}  ${(bytes / 1024).toFixed(1)} KB`);
