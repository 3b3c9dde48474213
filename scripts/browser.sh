# Functions about a browser, to be sourced by scripts.
# shellcheck shell=sh

# Prints a Chromium: BROWSER, then what PATH has.
browser_find() {
    for _browser in ${BROWSER:-} chromium chromium-browser google-chrome; do
        if command -v "$_browser" 2>/dev/null; then return 0; fi
    done
    return 1
}
