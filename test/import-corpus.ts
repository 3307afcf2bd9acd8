// Forty files for `import` that look like programs, each in the tongue of a tool that would run or fill in what it reads.
// All name the file "ran", which exists only where somebody ran one, and "other", which nobody may open.

const dotenv: readonly string[] = [
  'A=$(touch ran)\nB=`touch ran`\nC=\u0024{HOME}\nD=$X\n',
  'A="$(touch ran)"\nB="\\`touch ran\\`"\nexport C="\u0024{IFS}touch ran"\n',
  'A=1\nB="; . ./other; touch ran"\nC="@/etc/passwd"\nD="file:///etc/passwd"\n',
  "A='$(touch ran)'\nB=|touch ran\nC='&& touch ran'\nD='\\x3btouch ran'\n",
  'A=\u0024{X:-$(touch ran)}\nB=\u0024{X:=`touch ran`}\nC=$((`touch ran`))\n',
  'A=<(touch ran)\nB=>(touch ran)\nC=$[`touch ran`]\n',
  '. ./other\nA=1\n',
  'source ./other\nA=1\n',
  'A=1; touch ran\nB=2 && touch ran\n',
  'A=() { :; }; touch ran\n',
  'BASH_ENV=./other\nENV=./other\n',
  'PROMPT_COMMAND="touch ran"\nPS4="$(touch ran)"\n',
  'A=%USERPROFILE%\nB=^&touch ran\nC=%COMSPEC% /c touch ran\n',
  'A=$env:HOME\nB=$(New-Item ran)\n',
  '#!/bin/sh\ntouch ran\n',
  'A={{ lookup("pipe", "touch ran") }}\nB={{ cookiecutter }}\n',
  'A=<%= `touch ran` %>\nB=#{`touch ran`}\n',
  'A=\u0024{jndi:ldap://127.0.0.1:9/a}\nB=\u0024{env:HOME}\nC=\u0024{file:other}\n',
  'A=!touch ran\nB=!include other\nC=@other\nD=<other\n',
  'A=vault:secret/data/x#y\nB=op://vault/item/field\nC=ref+file://other\nD=encrypted:AAAA\n',
];

const json: readonly string[] = [
  '{"A":"$(touch ran)","B":"`touch ran`","C":"\u0024{env:HOME}","D":"file:///etc/passwd"}',
  '{"A":{"$ref":"other"}}',
  '{"$ref":"file:other#/A"}',
  '{"__proto__":{"shell":"touch ran"},"A":"x"}',
  '{"constructor":"x","toString":"touch ran"}',
  '{"A":"x","scripts":{"install":"touch ran"}}',
  '{"A":"\\u0024(touch ran)","B":"\\u0060touch ran\\u0060"}',
  '{"$schema":"http://127.0.0.1:9/schema","A":"x"}',
];

const yaml: readonly string[] = [
  'A: "$(touch ran)"\nB: "`touch ran`"\nC: "!include other"\nD: "{{ env.HOME }}"\n',
  'A: !!js/function "function(){}"\n',
  'A: !!python/object/apply:os.system ["touch ran"]\n',
  'A: !!python/object/new:subprocess.Popen [["touch", "ran"]]\n',
  'A: !include /etc/passwd\n',
  'A: !include other\nB: !Sub "\u0024{HOME}"\n',
  'A: !ruby/object:Gem::Installer\n  i: x\n',
  'A: !!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[!!java.net.URL ["http://127.0.0.1:9/"]]]]\n',
  '%TAG ! tag:example.test,2000:\n---\nA: !load other\n',
  '<<: *other\nA: x\n',
  'A: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\nB: x\n',
  'A: "x"\nsops:\n  age: []\n  kms: [{arn: "arn:aws:kms:eu-west-1:111122223333:key/x", enc: ""}]\n',
];

/** Name and text. */
export const importCorpus: readonly (readonly [string, string])[] = Object.entries({
  env: dotenv,
  json,
  yaml,
}).flatMap(([kind, texts]) => texts.map((text, index) => [`f${index}.${kind}`, text] as const));
