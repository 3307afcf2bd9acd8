// Mappings and sequences while a reader of YAML fills them; a finished tree does not change.
import type { Comment, Entry, SourceSpan, TreeNode } from '../tree.ts';

export type OpenMapping = {
  kind: 'mapping';
  items: (Entry | Comment)[];
  flow?: true;
  at: SourceSpan;
};

export type OpenSequence = {
  kind: 'sequence';
  items: (TreeNode | Comment)[];
  flow?: true;
  at: SourceSpan;
};
