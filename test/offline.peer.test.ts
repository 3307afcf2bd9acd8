// What the daily commands do not do: reach a network (INV-109), or run a program because of what a file says (INV-98).
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clefPath, sandbox, sandboxWith } from '../packages/cli/test/run-clef.ts';
import { importCorpus } from './import-corpus.ts';
import { hasPeer, runPeer } from './peers.ts';

const cell = 'database/development';

describe.runIf(hasPeer('unshare'))('INV-109: in an empty network namespace', () => {
  it('every command that needs no cloud works, from init to pack', async () => {
    const box = sandbox();
    writeFileSync(join(box.folder, '.env'), 'FROM_FILE=x\n');
    const script = `set -e
      git init --quiet . && git config user.name Alice && git config user.email a@example.test
      ! node -e 'require("net").connect(9, "127.0.0.1").on("error", () => process.exit(1)).on("connect", () => process.exit(0))'
      $CLEF init; printf one | $CLEF set ${cell} A; $CLEF get ${cell} A; $CLEF list; $CLEF list ${cell}
      $CLEF import ${cell} .env; $CLEF copy ${cell} database/staging; $CLEF compare ${cell} database/staging
      $CLEF search FILE; $CLEF explain A; $CLEF export ${cell} --format sh; $CLEF exec ${cell} -- sh -c 'test "$A" = one'
      EDITOR=true $CLEF edit ${cell}; $CLEF delete ${cell} FROM_FILE
      $CLEF namespace add payments; $CLEF namespace rename payments billing; $CLEF environment add qa; $CLEF sync --yes
      $CLEF key generate >/dev/null; $CLEF key list; $CLEF recipients list; $CLEF rotate --all --yes; $CLEF doctor --open
      $CLEF sops decrypt secrets/database/development.enc.yaml; $CLEF completion bash >/dev/null; $CLEF version\n`;
    const ran = await runPeer('unshare', ['--user', '--map-root-user', '--net', 'sh', '-c', script], {
      cwd: box.folder,
      environment: { ...box.environment, CLEF: `${process.execPath} ${clefPath}` },
    });
    expect(ran).toMatchObject({ exitCode: 0 });
  });
});

describe.runIf(hasPeer('strace'))('INV-98: under strace', () => {
  it('import of forty files that look like programs starts no other, and opens none of the files they name', async () => {
    const box = await sandboxWith({ Z: 'one' });
    expect(importCorpus).toHaveLength(40);
    for (const [name, text] of importCorpus) box.write(name, text);
    box.write('other', 'touch ran\n');
    const log = join(box.home, 'strace.log');
    const script = importCorpus
      .map(([name]) => `$CLEF import ${cell} ${name} --overwrite 2>/dev/null; echo $?\n`)
      .join('');
    const calls = ['-f', '-qq', '--seccomp-bpf', '-s', '300', '-e', 'trace=execve,openat,connect', '-o', log];
    const { stdout } = await runPeer('strace', [...calls, 'sh', '-c', script], {
      cwd: box.folder,
      environment: { ...box.environment, CLEF: `${process.execPath} ${clefPath}` },
    });
    const lines = readFileSync(log, 'utf8').split('\n');
    const started = lines.flatMap((line) => /execve\("([^"]+)".* = 0$/.exec(line)?.[1] ?? []);
    const programs = new Set(started.map((path) => path.replace(/^.*\//, '')));
    // git, which Clef itself asks for the person's name.
    expect([...programs].filter((name) => !['sh', 'dash', 'node', 'git'].includes(name))).toEqual([]);
    expect(started.filter((path) => path === process.execPath)).toHaveLength(importCorpus.length);
    // Each was read: taken literally, or refused for its name, its form or its size.
    const codes = stdout.trim().split('\n');
    expect(codes).toHaveLength(importCorpus.length);
    expect(codes.filter((code) => !['0', '3', '7'].includes(code))).toEqual([]);
    expect(codes.filter((code) => code === '0').length).toBeGreaterThan(8);
    expect(lines.filter((line) => /connect\(.*AF_INET/.test(line))).toEqual([]);
    expect(lines.filter((line) => /openat\(.*"(?:[^"]*\/)?(?:other|ran)"/.test(line))).toEqual([]);
    expect((await box.shell('test -e ran')).exitCode).toBe(1);
  });
});
