// What stands in the place of a cell that is no SOPS file at all, by its first bytes: an accident with a name is mended
// sooner than a syntax error (catalogue C25, C26).

type Foreign = { readonly what: string; readonly hint: string };

const lfs = 'version https://git-lfs.github.com/spec/';

/** What the bytes are instead of a cell; `undefined` where nothing known. Never quotes them. */
export function foreignContent(bytes: Uint8Array): Foreign | undefined {
  if (bytes.length > 0 && bytes.every((byte) => byte === 0)) {
    return { what: 'it is all zero bytes, as after a crash of the machine', hint: 'restore it from git' };
  }
  const text = Buffer.from(bytes).toString('latin1');
  if (text.startsWith(lfs)) {
    return { what: 'it is a pointer of Git LFS', hint: 'run "git lfs pull", and keep cells out of LFS' };
  }
  if (text.startsWith('\0GITCRYPT')) {
    return {
      what: 'it is encrypted with git-crypt',
      hint: 'unlock it with git-crypt, and keep cells out of it',
    };
  }
  if (/^(?:<{7} |={7}$|>{7} )/m.test(text)) {
    return {
      what: 'there is a merge conflict in it',
      hint: 'take one side with "git checkout --ours" or "--theirs", and set what the other had changed anew',
    };
  }
  return undefined;
}
