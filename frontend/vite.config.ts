import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// Every entry is a file that a template names with {% vite_asset %}; the manifest tells Django what became of it.
export default defineConfig({
  base: "/static/pages/",
  plugins: [react()],
  build: {
    outDir: "dist",
    manifest: "manifest.json",
    target: "es2022",
    // Nothing is put into a page as data: or inline script: the content security policy allows neither.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: { main: "src/main.ts", designer: "src/designer/main.tsx" } },
  },
  test: { include: ["src/**/*.test.ts"] },
});
