// Names as arguments: what is a cell, what is a key, and which class each wrong one has (catalogue A04 to A11, INV-13,
// INV-26).

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClefError } from '../../src/errors.ts';
import { findEnvironment, findNamespace } from '../../src/manifest/find.ts';
import {
  checkKeyName,
  checkName,
  formatCellName,
  keyNameFault,
  nameFault,
  nearMiss,
  parseCellName,
  slug,
} from '../../src/manifest/names.ts';
import { manifestText, parseText } from './manifest-text.ts';

const manifest = parseText(manifestText());

function refusal(work: () => unknown): ClefError {
  try {
    work();
  } catch (error) {
    return error as ClefError;
  }
  return expect.fail('was accepted');
}

describe('a cell', () => {
  const rows: readonly [string, string, string][] = [
    ['A04: no slash', 'payments', 'usage'],
    ['A04: nothing after the slash', 'payments/', 'usage'],
    ['A04: nothing before the slash', '/production', 'usage'],
    ['A04: three parts', 'a/b/c', 'usage'],
    ['A05: climbing', '../x/production', 'name'],
    ['A05: climbing inside', 'payments/../../etc', 'name'],
    ['A06: NUL', 'a\0/b', 'name'],
    ['A06: a newline', 'a\n/b', 'name'],
    ['A06: a tab', 'a\t/b', 'name'],
    ['A06: U+202E', 'a\u202e/b', 'name'],
    ['A06: an emoji', '😀/b', 'name'],
    ['A08: empty', '', 'usage'],
    ['A08: only the slash', '/', 'usage'],
    ['INV-26: 64 characters', `${'a'.repeat(64)}/b`, 'name'],
    ['INV-26: a device', 'con.txt/b', 'name'],
    ['a blank', 'a b/c', 'name'],
    ['a private key', `AGE-SECRET-KEY-1${'Q'.repeat(58)}/production`, 'name'],
  ];
  for (const [title, text, errorClass] of rows) {
    it(`${title} is refused with the class ${errorClass}`, () => {
      const error = refusal(() => parseCellName(text));
      expect(error.errorClass).toBe(errorClass);
      expect(`${error.message}${error.hint}`).not.toMatch(/[\0-\x1f\u202e]|SECRET/);
    });
  }

  it('A07: another case is looked up and not found, with the right name', () => {
    const cell = parseCellName('Payments/Production');
    const error = refusal(() => findEnvironment(manifest, cell.environment));
    expect([error.errorClass, error.message]).toEqual([
      'not_found',
      'No environment "Production" in clef.yaml. Did you mean "production"?',
    ]);
    expect(refusal(() => findNamespace(manifest, cell.namespace)).message).toBe(
      'No namespace "Payments" in clef.yaml. Did you mean "payments"?',
    );
    expect(refusal(() => checkName(cell.namespace, 'namespace')).code).toBe('bad_name');
  });

  it('reads back as it was written', () => {
    expect(formatCellName(parseCellName('database/eu-west-1'))).toBe('database/eu-west-1');
  });

  it('a short form is suggested only where one name begins with it', () => {
    expect(nearMiss('prod', ['production', 'staging'])).toBe('production');
    expect(nearMiss('databse', ['database'])).toBe('database');
    expect(nearMiss('database', ['database', 'databases'])).toBeUndefined();
    expect(nearMiss('redis', ['database'])).toBeUndefined();
  });
});

describe('a key', () => {
  const bad: readonly [string, string][] = [
    ...['1ABC', 'A-B', 'A.B', 'A B', 'a:b', 'A=B', '-x', 'é', 'A\n', 'A\0', 'ｋｅｙ'].map(
      (key): [string, string] => ['A09', key],
    ),
    ['A11: 129 characters', 'A'.repeat(129)],
    ['what SOPS stores in the clear', 'DB_URL_unencrypted'],
    ['INV-13: kept for Clef', '_clef_x'],
    ['INV-13: kept for Clef in any case', '_CLEF'],
    ['the block of SOPS itself', 'sops'],
  ];
  for (const [title, key] of bad) {
    it(`${title}: ${JSON.stringify(key.slice(0, 20))} is refused with the class name`, () => {
      const error = refusal(() => checkKeyName(key));
      expect(error.errorClass).toBe('name');
      expect(error.message).not.toMatch(/[\0-\x1f]/);
    });
  }
  it('what may be a value in the place of a name is not shown', () => {
    const told = (key: string): string => {
      const { message, hint } = refusal(() => checkKeyName(key));
      return `${message}; ${hint}`;
    };
    expect(told('A-B')).toMatch(/"A-B".*"DB_URL"/);
    for (const key of [
      'A=CANARY',
      'postgres://u:CANARY@h/db',
      '1CANARY',
      'CANARY word',
      'AGE-SECRET-KEY-1CANARY',
    ])
      expect(told(key)).not.toContain('CANARY');
    expect(told('A=b')).toContain('write the key alone');
  });
  it('A08: an empty one is a wrong usage', () => {
    expect(refusal(() => checkKeyName('')).errorClass).toBe('usage');
  });
  for (const key of [
    'A',
    '_',
    'DB_URL',
    'a1',
    '__proto__',
    'constructor',
    'SOPS',
    'sops_',
    'A'.repeat(128),
    '_unencrypted_',
  ]) {
    it(`A10, A11: ${key.slice(0, 20)} is fine`, () => expect(keyNameFault(key)).toBeUndefined());
  }

  it('INV-13: no two accepted keys are one path of associated data, and none can be more than one variable', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (key) => {
        if (keyNameFault(key) === undefined) expect(key).not.toMatch(/[:=\s\0]/);
      }),
    );
  });
});

describe('a name', () => {
  it('INV-26: whatever is accepted is one harmless part of a path on every system', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary', maxLength: 70 }), fc.stringMatching(/^[a-zA-Z0-9._/-]{1,70}$/)),
        (name) => {
          if (nameFault(name) !== undefined) return;
          expect(name).toMatch(/^[a-z][a-z0-9-]*$/);
          expect(name.length).toBeLessThan(64);
        },
      ),
    );
  });

  it('a slug of any name is a name or of no use', () => {
    expect([slug('Ada Lovelace'), slug('Jürgen Müller'), slug('42'), slug('김')]).toEqual([
      'ada-lovelace',
      'jurgen-muller',
      '',
      '',
    ]);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const fault = nameFault(slug(text));
        if (fault !== undefined) expect(fault).toMatch(/is empty|Windows|YAML/);
      }),
    );
  });
});
