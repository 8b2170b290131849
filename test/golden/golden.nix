# What generate.sh instantiates and builds. `latin1` is a file of bytes that are not UTF-8.
{ latin1 }:
let
  make =
    name: attributes: script:
    derivation (
      {
        inherit name;
        system = "x86_64-linux";
        builder = "/bin/sh";
        args = [ "-c" script ];
        PATH = "/bin:/usr/bin";
      }
      // attributes
    );
  fixed =
    name: mode: algorithm: hash:
    make name {
      outputHashMode = mode;
      outputHashAlgo = algorithm;
      outputHash = hash;
    } "printf 'fixed\\n' > $out";

  plainText = builtins.toFile "plain.txt" "plain\n";
  textWithReference = builtins.toFile "with-reference.txt" "see ${plainText}\n";
  textWithTwoReferences = builtins.toFile "with-two-references.txt" "see ${textWithReference} and ${plainText}\n";

  flat = algorithm: fixed "flat-${algorithm}" "flat" algorithm (builtins.hashString algorithm "fixed\n");
  recursive = algorithm: fixed "recursive-${algorithm}" "recursive" algorithm (builtins.hashString algorithm "any");
  # The same content by two recipes: what is made of either has one output path.
  mirrored = fixed "flat-sha256" "flat" "sha256" (builtins.hashString "sha256" "fixed\n");
  otherMirror = derivation {
    name = "flat-sha256";
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-c" "echo fixed > $out" ];
    mirror = "another";
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = builtins.hashString "sha256" "fixed\n";
  };

  manyOutputs = make "many-outputs" {
    outputs = [ "out" "dev" "lib" ];
    source = textWithTwoReferences;
  } "echo $lib > $out; mkdir $dev; echo $out $lib > $dev/include; echo $source > $lib";
  selfReference = make "self-reference" { input = plainText; } ''
    mkdir -p $out/bin
    echo $out/bin $out > $out/bin/self
    chmod +x $out/bin/self
    ln -s $out/bin/self $out/link
    echo $input > $out/input
  '';
  chain = make "chain" {
    first = flat "sha256";
    second = manyOutputs.dev;
    third = manyOutputs.lib;
    fourth = selfReference;
  } "echo $first $second $third $fourth > $out";
  floating = make "floating" {
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  } "echo floating > $out";
in
{
  built = [
    chain
    manyOutputs.out
    manyOutputs.dev
    selfReference
    (flat "sha1")
    (flat "sha512")
  ];
  inherit selfReference;
  instantiated = map (package: package.drvPath) [
    (flat "md5")
    (flat "sha1")
    (flat "sha512")
    (recursive "sha1")
    (recursive "sha256")
    (recursive "sha512")
    chain
    (make "of-a-mirror" { input = mirrored; } "cat $input > $out")
    (make "of-both-mirrors" { inputs = [ mirrored otherMirror ]; } "cat $inputs > $out")
    (make "of-a-mirror" { input = otherMirror; } "cat $input > $out")
    (make "escapes" {
      value = "quote \" backslash \\ newline \n return \r tab \t dollar \${x} nothing else";
      empty = "";
      args = [ ];
    } "")
    (make "latin1" { bytes = builtins.readFile latin1; } "echo $bytes > $out")
    (make "structured-attrs" {
      __structuredAttrs = true;
      nested = {
        list = [ 1 2.5 true null "text \" \\ \n" ];
        input = flat "sha256";
      };
      outputs = [ "out" "doc" ];
    } "")
    (make "trailing.drv-in-name" { } "")
    floating
    (make "of-floating" { input = floating; } "cat $input > $out")
  ];
  texts = [ plainText textWithReference textWithTwoReferences ];
}
