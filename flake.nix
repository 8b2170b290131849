{
  description = "carport: closures, signed Nix binary caches, pulls with or without Nix";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forEachSystem =
        make:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = make nixpkgs.legacyPackages.${system};
          }) systems
        );

      manifest = builtins.fromJSON (builtins.readFile ./package.json);
      lock = builtins.fromJSON (builtins.readFile ./package-lock.json);

      # The newest Node that carport is tested with.
      nodeOf = pkgs: pkgs.nodejs_24;

      # The lock file names no place to download from. `npm pack` takes a package from the registry that npm knows, and
      # the lock file's own hash says what it must be.
      tarballOf =
        pkgs: path: locked:
        let
          name = builtins.head (builtins.match ".*node_modules/(.*)" path);
          fileName = "${builtins.replaceStrings [ "@" "/" ] [ "" "-" ] name}-${locked.version}.tgz";
        in
        pkgs.runCommand fileName
          {
            nativeBuildInputs = [
              (nodeOf pkgs)
              pkgs.cacert
            ];
            outputHashMode = "flat";
            outputHash = locked.integrity;
          }
          ''
            export HOME=$TMPDIR
            npm pack --silent ${name}@${locked.version}
            mv *.tgz $out
          '';

      tarballsOf =
        pkgs:
        let
          paths = builtins.filter (path: path != "" && lock.packages.${path} ? integrity) (
            builtins.attrNames lock.packages
          );
        in
        builtins.listToAttrs (
          map (path: {
            name = path;
            value = tarballOf pkgs path lock.packages.${path};
          }) paths
        );

      carportOf =
        pkgs: extra:
        pkgs.buildNpmPackage (
          {
            pname = "carport";
            inherit (manifest) version;
            src = self;
            nodejs = nodeOf pkgs;
            npmDeps = pkgs.importNpmLock {
              npmRoot = ./.;
              packageSourceOverrides = tarballsOf pkgs;
            };
            npmConfigHook = pkgs.importNpmLock.npmConfigHook;
            # node-gyp builds zstd-napi, whose ready-made binary would be a download.
            nativeBuildInputs = [ pkgs.python3 ];
            meta = {
              inherit (manifest) description;
              license = pkgs.lib.licenses.mit;
              mainProgram = "carport";
            };
          }
          // extra
        );
    in
    {
      packages = forEachSystem (pkgs: {
        default = carportOf pkgs { };
      });

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = [
            (nodeOf pkgs)
            pkgs.garage
            pkgs.nix
            pkgs.xz
            pkgs.zstd
          ];
        };
      });

      # Builds carport, and runs the tests that need neither Nix nor a server.
      checks = forEachSystem (pkgs: {
        default = carportOf pkgs {
          pname = "carport-check";
          doCheck = true;
          nativeCheckInputs = [ pkgs.xz ];
          checkPhase = ''
            runHook preCheck
            npx vitest run
            runHook postCheck
          '';
        };
      });
    };
}
