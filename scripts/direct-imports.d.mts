type Loaded = { readonly contents: string };
type Builder = {
  readonly onLoad: (
    options: { readonly filter: RegExp },
    load: (file: { readonly path: string }) => Promise<Loaded>,
  ) => void;
};
export function directImports(root: string, keptWhole: readonly string[]): { setup(builder: Builder): void };
