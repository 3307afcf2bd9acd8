// One value of the Clef agent: node secrets.mjs DB_URL. All names: without an argument. Needs @clef/client.
import { get, secrets } from '@clef/client';

const [key] = process.argv.slice(2);
process.stdout.write(
  key === undefined
    ? Object.keys(await secrets())
        .sort()
        .map((name) => `${name}\n`)
        .join('')
    : await get(key),
);
