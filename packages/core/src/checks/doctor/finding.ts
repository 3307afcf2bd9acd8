// What a check of `clef doctor` says: one line of fact, and where something is wrong the way to mend it.

/** `problem`: something will fail; `warning`: something is weaker than it should be; `ok`: nothing to do. */
export type DoctorStatus = 'ok' | 'warning' | 'problem';

/** One line of the report. Holds no value and no private key. */
export type DoctorFinding = {
  /** Which check says it: `node`, `git`, `machine`, `settings`, `keys`, `repository`, `requests`, `cells`. */
  readonly check: string;
  readonly status: DoctorStatus;
  readonly message: string;
  /** What to do; present wherever the status is not `ok`. */
  readonly fix?: string;
};

/** A check writes its lines through this, so that none forgets the fix. */
export type Report = {
  readonly ok: (message: string) => void;
  readonly warning: (message: string, fix: string) => void;
  readonly problem: (message: string, fix: string) => void;
};

/** A report of one check that adds to `findings`. */
export function reportTo(findings: DoctorFinding[], check: string): Report {
  const add = (status: DoctorStatus) => (message: string, fix?: string) => {
    findings.push({ check, status, message, ...(fix !== undefined && { fix }) });
  };
  return { ok: add('ok'), warning: add('warning'), problem: add('problem') };
}
