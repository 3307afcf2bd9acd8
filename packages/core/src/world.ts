// What an operation may know of the machine it runs on. Only a face (the CLI's main, a test) makes one; below it nobody
// reads the environment, the clock or the source of randomness.

/** Something to tell a person beside the result; never holds a value. */
export type Notice = { readonly level: 'note' | 'warning'; readonly message: string };

/** How far work has come that may take long: "Rotating data keys", 3 of 100. Holds no value. */
export type Progress = { readonly what: string; readonly done: number; readonly total: number };

/** The machine as an argument. */
export type World = {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute path from which relative paths and the repository are found. */
  readonly cwd: string;
  /** Absolute path of the user's home folder. */
  readonly homeDirectory: string;
  readonly platform: NodeJS.Platform;
  /** The user's login, used where git knows no name. */
  readonly userName: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  /** Told at once, in order. */
  readonly notify: (notice: Notice) => void;
  /** Told after each step of work on many things; a face shows it once a second has passed, and only to a person. */
  readonly progress?: (progress: Progress) => void;
  /** Take a lock from a holder that cannot be seen from here: only a person who knows that it is gone asks for this. */
  readonly breakLock?: boolean;
  /** Asks for a passphrase without echo; absent where nobody can answer. */
  readonly askPassphrase?: (question: string) => Promise<string>;
};
