# A C compiler of the system, with its libraries, as store paths that need nothing of the system: no nixpkgs, no network.
{ revision ? "1" }:

let
  run = name: attributes: text: derivation (attributes // {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" text ];
    PATH = "/usr/bin:/bin";
  });

  # Loader and libraries of the programs below, and what programs are linked with.
  libc = run "libc-1" { outputs = [ "out" "dev" ]; } ''
    mkdir -p $out/lib $dev/lib
    for program in /bin/sh $(gcc -print-prog-name=cc1) $(command -v as) $(command -v ld) $(command -v gcc); do
      ldd $program | grep -o '/[^ ]*'
    done | sort -u > libraries
    while read -r library; do cp -L $library $out/lib; done < libraries
    mv $out/lib/ld-* $out/lib/loader
    for file in crt1.o crti.o crtn.o libc.a; do cp -L $(gcc -print-file-name=$file) $dev/lib; done
    for header in stdio stdlib string; do echo "#include <$header.h>"; done > headers.c
    gcc -M headers.c | tr ' ' '\n' | grep ^/ | grep -v /gcc/ > headers
    while read -r header; do cp --parents $header $dev; done < headers
    mv $dev/usr/include $dev/include
    multiarch=$dev/include/$(gcc -print-multiarch)
    if [ -d $multiarch ]; then cp -R $multiarch/. $dev/include; rm -R $multiarch; fi
  '';

  # A shell that the first line of a script can name. Its own loader is a store path, too.
  shell = run "shell-1" { inherit libc; } ''
    mkdir -p $out/bin $out/libexec
    cp -L /bin/sh $out/libexec/sh
    cat > shell.c <<END
    #include <unistd.h>
    int main(int count, char **words) {
      char *command[count + 5];
      command[0] = "loader", command[1] = "--library-path", command[2] = "$libc/lib", command[3] = "$out/libexec/sh";
      for (int i = 1; i <= count; i++) command[i + 3] = words[i];
      return execv("$libc/lib/loader", command);
    }
    END
    gcc shell.c -o $out/bin/sh -Wl,--dynamic-linker=$libc/lib/loader -Wl,-rpath,$libc/lib
  '';
  # Run by `cc`, by way of scripts that give them their libraries.
  compiler = run "compiler-1" { inherit libc shell; } ''
    mkdir -p $out/bin $out/libexec $out/include $out/lib
    cp -L $(gcc -print-prog-name=cc1) $(command -v as) $(command -v ld) $(command -v gcc) $out/libexec
    for file in crtbeginT.o crtend.o libgcc.a libgcc_eh.a; do cp -L $(gcc -print-file-name=$file) $out/lib; done
    for header in stdarg stddef; do cp $(gcc -print-file-name=include)/$header.h $out/include; done
    script() {
      printf '#!%s/bin/sh\nexec %s/lib/loader --library-path %s/lib %s "$@"\n' $shell $libc $libc "$2" > $1
      chmod +x $1
    }
    for program in cc1 as ld gcc; do script $out/bin/$program $out/libexec/$program; done
    script $out/bin/collect2 $out/libexec/ld
  '';
in

# `cc` makes static programs, which run anywhere.
run "cc-${revision}" { inherit compiler shell; inherit (libc) dev; outputs = [ "out" "doc" ]; } ''
  mkdir -p $out/bin $doc/share/doc
  cat > $out/bin/cc <<END
  #!$shell/bin/sh
  exec $compiler/bin/gcc -B$compiler/bin/ -B$compiler/lib/ -B$dev/lib/ \
    -nostdinc -isystem $compiler/include -isystem $dev/include -static -fno-use-linker-plugin "\$@"
  END
  chmod +x $out/bin/cc
  echo "cc, revision ${revision}" > $doc/share/doc/cc
''
