// The scripts by which shells ask Clef for completions. None of them evaluates what was typed: the words go to Clef as
// arguments, so that a half-typed `$(…)` is not run by pressing TAB.

const bash = `# clef completion for bash. Add to ~/.bashrc:  eval "$(clef completion bash)"
_clef() {
  local line word
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=()
  for word in "\${words[@]::\${#words[@]}-1}"; do
    if [[ $word == -- ]]; then
      COMPREPLY=($(compgen -c -f -- "\${words[@]: -1}"))
      return
    fi
  done
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(clef complete -- "\${words[@]}" 2>/dev/null)
}
complete -o default -F _clef clef
`;

const zsh = `#compdef clef
# clef completion for zsh. Add to ~/.zshrc, after compinit:  eval "$(clef completion zsh)"
_clef() {
  local -a lines names shown
  local line
  if (( \${words[(Ie)--]} && \${words[(Ie)--]} < CURRENT )); then
    (( CURRENT == \${words[(Ie)--]} + 1 )) && _command_names || _files
    return
  fi
  lines=("\${(@f)$(clef complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    [[ -n $line ]] || continue
    names+=("\${line%%$'\\t'*}")
    shown+=("\${line//$'\\t'/  }")
  done
  if (( \${#names} )); then
    compadd -l -d shown -- $names
  else
    _files
  fi
}
compdef _clef clef
`;

const fish = `# clef completion for fish. Write to ~/.config/fish/completions/clef.fish
function __clef_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found
    if not contains -- -- $words
        set found (clef complete -- $words[2..-1] "$current" 2>/dev/null)
    end
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path "$current"
    end
end
complete -c clef -f -a '(__clef_candidates)'
`;

/** The script of each shell that has one. */
export const completionScripts = { bash, zsh, fish } as const;
