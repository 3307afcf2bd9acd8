// The person's keys: is there one, is it where keys.yaml says, and can nobody else read it. Opens none of them.
import { stat } from 'node:fs/promises';
import { ClefError } from '../../errors.ts';
import { hasOverride, ownRecipients } from '../../keys/age-keys.ts';
import { configFolder } from '../../keys/config-folder.ts';
import { type AgeKeyEntry, keyFileOf, listAgeKeys } from '../../keys/key-store.ts';
import { canUseKeychain } from '../../keys/keychain.ts';
import type { World } from '../../world.ts';
import type { Report } from './finding.ts';

/** Throws nothing that a person could have caused: it is what is reported. */
export async function checkOwnKeys(world: World, report: Report): Promise<void> {
  try {
    if (hasOverride(world)) {
      const recipients = await ownRecipients(world);
      report.ok(`${recipients.length} age key from the environment; the keys that Clef keeps are not used`);
      return;
    }
    const entries = await listAgeKeys(world);
    if (entries.length === 0) {
      report.problem(
        'There is no age key of yours on this machine',
        'run "clef init" or "clef key import FILE"',
      );
      return;
    }
    await checkPermissions(world, configFolder(world), 'Your configuration folder', report);
    for (const entry of entries) await checkEntry(world, entry, report);
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    report.problem(error.message, error.hint);
  }
}

async function checkEntry(world: World, entry: AgeKeyEntry, report: Report): Promise<void> {
  const name = `${entry.recipient.slice(0, 12)}…`;
  const file = keyFileOf(world, entry);
  if (file === undefined) {
    if (await canUseKeychain(world)) report.ok(`the key ${name} is in your keychain`);
    else
      report.problem(
        `The key ${name} is in a keychain that does not answer now`,
        'unlock the keychain, or give the key in CLEF_AGE_KEY_FILE',
      );
    return;
  }
  if (!(await checkPermissions(world, file, `The file of the key ${name}`, report))) return;
  if (entry.store === 'passphrase') report.ok(`the key ${name} is wrapped with a passphrase`);
  else
    report.warning(
      `The key ${name} lies in a plain file, where any program that you run can read it`,
      'make one that is wrapped: "clef key generate --passphrase"; then let it in: "clef recipients add NAME" with the line it prints',
    );
}

/** False where there is something wrong with the place itself. */
async function checkPermissions(world: World, path: string, what: string, report: Report): Promise<boolean> {
  const facts = await stat(path).catch(() => undefined);
  if (facts === undefined) {
    report.problem(`${what} is not there: "${path}"`, 'restore it from your backup, or make a new key');
    return false;
  }
  if (world.platform !== 'win32' && (facts.mode & 0o077) !== 0) {
    report.problem(`${what} can be read by others: "${path}"`, `run: chmod go= "${path}"`);
  }
  return true;
}
