#!/bin/sh
# SPDX-License-Identifier: MIT
# Dependencies point one way, read off the #include lines: includes.sh SOURCE_DIR
#
# A module of src/ includes private headers of itself and of the modules before it in its library;
# libtempera-lm sees libtempera through public headers, and base; its products are written in the
# vectors of simd, too. What stands outside src/ sees public headers only, and those of libtempera
# know nothing of libtempera-lm. A third-party header has one module.
set -u
cd "$1" || exit 1

folders="include src cli examples bench"
# shellcheck disable=SC2086 # words
grep -rE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include' $folders | awk '
    function refuse(why) { print $0 ": " why; failures++ }
    function known(list, word) { return index(" " list " ", " " word " ") > 0 }

    BEGIN {
        score = "base parallel simd kernels score sampler"
        lm = "base gguf tokenizer matmul model train"
        lm_headers = "gguf tokenizer model train"
        n = split(score, modules)
        for (i = 1; i <= n; i++) { before = before " " modules[i]; may_use[modules[i]] = before }
        n = split(lm, modules)
        before = ""
        for (i = 1; i <= n; i++) { before = before " " modules[i]; may_use[modules[i]] = before }
        may_use["matmul"] = may_use["matmul"] " simd"
    }
    {
        file = $0; sub(/:.*/, "", file)
        target = $0; sub(/^[^<"]*/, "", target); sub(/[>"][^>"]*$/, "", target)
        quoted = target ~ /^"/
        target = substr(target, 2)
        split(file, path, "/")
        inside = path[1] == "src"
        module = inside ? path[2] : "none"
        below_lm = known(score, module)
        if (path[1] == "include") {
            sub(/\.h$/, "", path[3])
            below_lm = !known(lm_headers, path[3])
        }
        n_includes++

        if (target ~ /\.\./) refuse("goes up a folder")
        if (inside && !(module in may_use)) refuse("unknown module " module)

        if (quoted && inside) {
            from = target; sub(/\/.*/, "", from)
            if (target !~ /\//) refuse("name the module: \"" module "/" target "\"")
            else if (!known(may_use[module], from)) refuse(module " must not use " from)
        } else if (quoted && path[1] == "include") {
            refuse("a public header includes <tempera/...>")
        } else if (quoted) {
            if (target ~ /\//) refuse("only headers of its own folder, and <tempera/...>")
        } else if (target ~ /^tempera\//) {
            header = target; gsub(/tempera\/|\.h/, "", header)
            if (below_lm && known(lm_headers, header))
                refuse("libtempera must not know libtempera-lm")
        } else {
            if (target ~ /blas|dnnl/ && module != "matmul" && path[1] != "bench")
                refuse("belongs to src/matmul, and to bench, which compares with it")
            if (target ~ /jansson/ && path[1] != "cli") refuse("belongs to cli")
        }
    }
    END {
        print n_includes + 0 " includes, " failures + 0 " failures"
        exit !(n_includes > 20 && failures == 0)
    }'
