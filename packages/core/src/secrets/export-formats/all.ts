// Every format of an export. A new one is one file and one row here.
import { docker } from './docker.ts';
import { dotenv } from './dotenv.ts';
import type { ExportDialect } from './export-format.ts';
import { fish } from './fish.ts';
import { github, githubMask } from './github.ts';
import { json } from './json.ts';
import { kubernetes } from './kubernetes.ts';
import { powershell } from './powershell.ts';
import { sh } from './sh.ts';
import { systemd } from './systemd.ts';
import { yaml } from './yaml.ts';

export const exportDialects = {
  dotenv,
  json,
  yaml,
  sh,
  fish,
  powershell,
  github,
  'github-mask': githubMask,
  docker,
  kubernetes,
  systemd,
} as const satisfies Record<string, ExportDialect>;

export type ExportFormat = keyof typeof exportDialects;

/** The names of the formats, as a person gives them. */
export const exportFormats = Object.keys(exportDialects) as readonly ExportFormat[];
