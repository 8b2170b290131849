# As much of nixpkgs as docs/toolchains.md names, so that real Nix can build it without a network.
{ }:

let
  run = name: text: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" text ];
    PATH = "/usr/bin:/bin";
  };
in
{
  gcc = import ../default.nix { };
  gnumake = run "gnumake" "mkdir -p $out/bin";

  buildEnv = { name, paths }: run name ''
    mkdir -p $out/bin
    for path in ${toString paths}; do
      for program in $path/bin/*; do
        if [ -e $program ]; then ln -s $program $out/bin; fi
      done
    done
  '';
}
