// The version of the agent: the same in every package.json (a test compares them).

export const version = '0.1.0';
