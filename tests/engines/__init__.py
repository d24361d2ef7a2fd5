"""Every engine for real: installed, started, asked, stopped."""
