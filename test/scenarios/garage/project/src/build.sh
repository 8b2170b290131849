#!/bin/sh
# build.sh TARGET OUT: a garage that says its version. It stands for Garage's own build (`nix-build --arg target`): programs of
# these targets, static, and made in no time. i686 and x86_64 are compiled; there is no compiler for ARM here, so for these
# the bytes of the program stand below.
set -eu
target=$1 out=$2
mkdir -p "$(dirname "$out")"
text="garage $(cat VERSION)"

compile() {
  gcc -Os -ffreestanding -fno-stack-protector -nostdlib -Wl,--build-id=none -s "$@" \
    -DTEXT="\"$text\\n\"" src/main.c -o "$out"
}

# word VALUE: its four bytes, lowest first; of ELF headers and instructions.
word() {
  for shift in 0 8 16 24; do printf "\\$(printf '%03o' $((($1 >> shift) & 255)))"; done
}
words() { for value in "$@"; do word "$value"; done; }

# A program of one segment, 64 bits: write(1, text, length), exit(0), and the text.
aarch64() {
  length=$((${#text} + 1))
  printf '\177ELF\002\001\001\000\000\000\000\000\000\000\000\000'
  words 0x00b70002 1 0x400078 0 64 0 0 0 0 0x00380040 0x00400001 0
  words 1 5 0 0 0x400000 0 0x400000 0 $((152 + length)) 0 $((152 + length)) 0 0x10000 0
  # mov x0, 1; adr x1, text; mov x2, length; mov x8, 64; svc 0; mov x0, 0; mov x8, 93; svc 0
  words 0xd2800020 0x100000e1 $((0xd2800002 | length << 5)) 0xd2800808 0xd4000001 0xd2800000 0xd2800ba8 0xd4000001
  printf '%s\n' "$text"
}

# The same, 32 bits, with the flags of the ABI with floating point in registers.
armv6l() {
  length=$((${#text} + 1))
  printf '\177ELF\001\001\001\000\000\000\000\000\000\000\000\000'
  words 0x00280002 1 0x10054 52 0 0x05000400 0x00200034 0x00280001 0
  words 1 0 0x10000 0x10000 $((116 + length)) $((116 + length)) 5 0x10000
  # mov r0, 1; add r1, pc, 20; mov r2, length; mov r7, 4; svc 0; mov r0, 0; mov r7, 1; svc 0
  words 0xe3a00001 0xe28f1014 $((0xe3a02000 | length)) 0xe3a07004 0xef000000 0xe3a00000 0xe3a07001 0xef000000
  printf '%s\n' "$text"
}

case $target in
  x86_64-*) compile $(cat src/flags) ;;
  i686-*) compile -m32 $(cat src/flags) ;;
  aarch64-*) aarch64 > "$out" ;;
  armv6l-*) armv6l > "$out" ;;
  *) echo "build.sh: no such target: $target" >&2; exit 1 ;;
esac
chmod +x "$out"
