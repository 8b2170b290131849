{
  description = "As much of nixpkgs as carport's flake names, so that real Nix can evaluate that without a network.";

  outputs =
    { self }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      programs = [
        "cacert"
        "garage"
        "nix"
        "nodejs_24"
        "python3"
        "xz"
        "zstd"
      ];

      # A derivation that needs all that a real one would, and shows what it was asked for.
      derivationFor =
        system: arguments:
        derivation {
          name = arguments.name or "${arguments.pname or "shell"}-${arguments.version or "0"}";
          inherit system;
          builder = "/bin/sh";
          args = [
            "-c"
            "echo > $out"
          ];
          inputs = map toString (
            (arguments.nativeBuildInputs or [ ])
            ++ (arguments.nativeCheckInputs or [ ])
            ++ (arguments.packages or [ ])
            ++ (if arguments ? npmDeps then [ arguments.npmDeps ] else [ ])
            ++ (if arguments ? script then [ arguments.script ] else [ ])
          );
        }
        // {
          inherit arguments;
        };

      # As in nixpkgs: each dependency of the lock file becomes a file of the store.
      importNpmLock =
        system:
        {
          npmRoot,
          packageSourceOverrides ? { },
        }:
        let
          lock = builtins.fromJSON (builtins.readFile (npmRoot + "/package-lock.json"));
          sources = map toString (builtins.attrValues packageSourceOverrides);
          direct = lock.packages."".dependencies // lock.packages."".devDependencies;
          missing = builtins.filter (name: !(packageSourceOverrides ? "node_modules/${name}")) (
            builtins.attrNames direct
          );
        in
        assert missing == [ ];
        derivationFor system {
          name = "npm-deps";
          nativeBuildInputs = sources;
        };

      packagesFor =
        system:
        builtins.listToAttrs (
          map (name: {
            inherit name;
            value = derivationFor system { inherit name; };
          }) programs
        )
        // {
          buildNpmPackage = derivationFor system;
          mkShell = derivationFor system;
          runCommand =
            name: attributes: script:
            derivation (
              {
                inherit name system script;
                builder = "/bin/sh";
              }
              // attributes
            );
          importNpmLock = {
            __functor = _: importNpmLock system;
            npmConfigHook = derivationFor system { name = "npm-config-hook"; };
          };
          lib.licenses.mit.spdxId = "MIT";
        };
    in
    {
      legacyPackages = builtins.listToAttrs (
        map (name: {
          inherit name;
          value = packagesFor name;
        }) systems
      );
    };
}
