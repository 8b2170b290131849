# What it takes to build Garage for its four targets. It stands for Garage's own nix/toolchain.nix, which takes rustc, cargo and
# a C compiler for each from nixpkgs: here they are scripts, so that real Nix builds them without a network.
let
  run = name: attributes: text: derivation (attributes // {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" text ];
    PATH = "/usr/bin:/bin";
  });
  llvm = run "llvm-1" { } "mkdir -p $out/lib; echo 'stands for a library' > $out/lib/libLLVM.so";
  rustc = target: run "rustc-${target}" { inherit llvm target; } ''
    mkdir -p $out/bin
    printf '#!/bin/sh\n# %s\necho rustc of %s\n' $llvm $target > $out/bin/rustc
    chmod +x $out/bin/rustc
  '';
in
map rustc [
  "aarch64-unknown-linux-musl"
  "armv6l-unknown-linux-musleabihf"
  "i686-unknown-linux-musl"
  "x86_64-unknown-linux-musl"
]
