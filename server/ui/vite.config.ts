import { defineConfig, type Plugin } from "vite";

/** Changes one module of a package, and fails if there is nothing to change any more. */
function patched(file: string, from: string | RegExp, to: string): Plugin {
  return {
    name: `patched ${file}`,
    enforce: "pre",
    transform(code, id) {
      if (!id.includes(file)) {
        return null;
      }
      const changed = code.replace(from, to);
      if (changed === code) {
        this.error(`${file} is not what the patch is made for`);
      }
      return changed;
    },
  };
}

// It carries two fonts of 350 kB; the fonts of the reader's system do as well.
const withoutFonts = patched("graphiql/dist/style.css", /@font-face\s*\{[^}]*\}/g, "");

// It takes an object for a mistake wherever a scalar of the API's own stands, of which JSON is one.
const withOwnScalars = patched(
  "codemirror-graphql/esm/variables/lint.js",
  "(type instanceof GraphQLEnumType || type instanceof GraphQLScalarType) &&",
  "type instanceof GraphQLEnumType &&",
);

export default defineConfig({
  // Relative, so that the page also works below a path of a proxy.
  base: "./",
  plugins: [withoutFonts, withOwnScalars],
  resolve: {
    alias: {
      // It writes <style> elements, which the page's Content-Security-Policy forbids.
      "react-style-singleton": "/src/style-singleton.ts",
      "framer-motion": "/src/reorder.tsx",
    },
  },
  build: {
    outDir: "../flowstead_server/ui",
    emptyOutDir: true,
    target: "es2022",
    // The policy allows no data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    license: { fileName: "licenses.md" },
    rolldownOptions: {
      output: { codeSplitting: false },
      onwarn(warning, warn) {
        // "use client" of packages is about servers that render, which there are none of here.
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") {
          warn(warning);
        }
      },
    },
  },
  server: { proxy: { "/graphql": { target: "http://127.0.0.1:4200", ws: true } } },
});
