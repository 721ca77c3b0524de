// esbuild takes styles as imports.
declare module "*.css";
