# What Garage's own index generator does with a listing, written anew for these tests: `_releases.json` as one string.
# Keys of fewer than four parts, for which that one has no answer, are left out here as they are in carport.
{ listing, baseUrl }:
let
  inherit (builtins)
    elemAt
    filter
    groupBy
    head
    isString
    length
    match
    readFile
    sort
    split
    ;

  pieces = separator: text: filter isString (split separator text);
  words = line: filter (word: word != "") (pieces " " line);

  toBuild =
    fields:
    let
      path = elemAt fields 3;
      parts = pieces "/" path;
    in
    if length parts < 4 then
      null
    else
      {
        date = elemAt fields 0;
        time = elemAt fields 1;
        size = elemAt fields 2;
        inherit path;
        root = elemAt parts 0;
        version = elemAt parts 1;
        platform = elemAt parts 2;
        binary = elemAt parts 3;
        url = baseUrl + path;
      };

  objects = filter (fields: length fields == 4) (map words (pieces "\n" (readFile listing)));
  byVersion = groupBy (build: build.version) (filter (build: build != null) (map toBuild objects));
  all = map (version: {
    inherit version;
    builds = byVersion.${version};
  }) (builtins.attrNames byVersion);

  # The backslash before a dot is lost in a string of Nix.
  isRelease = release: match "v[0-9]+\.[0-9]+\.[0-9]+(\.[0-9]+)?" release.version != null;
  isDevelopment = release: match "[0-9a-f]{40}" release.version != null;

  newestFirst =
    a: b:
    let
      x = head a.builds;
      y = head b.builds;
    in
    if x.date != y.date then x.date > y.date else x.time > y.time;
in
builtins.toJSON [
  {
    name = "Release";
    description = "Release builds are the official builds, they are tailored for productions and are the most tested.";
    hide = false;
    type = "tag";
    builds = sort (a: b: a.version > b.version) (filter isRelease all);
  }
  {
    name = "Extra";
    description = "Extra builds are built on demand to test a specific feature or a specific need.";
    hide = true;
    type = "tag";
    builds = sort newestFirst (filter (release: !isRelease release && !isDevelopment release) all);
  }
  {
    name = "Development";
    description = "Development builds are built periodically. Use them if you want to test a specific feature that is not yet released.";
    hide = true;
    type = "commit";
    builds = sort newestFirst (filter isDevelopment all);
  }
]
