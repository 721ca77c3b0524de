"""The guard: StrategyEngine, GuardEvaluator, PortfolioManager, kill switch, drain."""
