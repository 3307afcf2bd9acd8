// The version of Clef: the same in every package.json (a test compares them).

export const version = '0.1.0';
