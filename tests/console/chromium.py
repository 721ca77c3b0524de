"""How the tests start Chromium."""

# Those that Playwright switches off, since the last such option counts alone, and the search box of
# the address bar: no test types there, and each window would make two pages for it,
# which cost more than the console's own.
_OFF = (
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "WebUIOmniboxPopup",
)
OPTIONS = [
    "--no-sandbox",  # Root may not use it; Chromium opens nothing but the stack.
    "--host-resolver-rules=MAP *.example 127.0.0.1",  # Stacks with a name of their own.
    f"--disable-features={','.join(_OFF)}",
]
