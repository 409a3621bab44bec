"""What is measured: suites, experiments, the cells of tables, and the runs behind them."""
