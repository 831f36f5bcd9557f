"""Charts over time on pyqtgraph.

Pages place a ``chart_panel.ChartPanel`` and share one ``chart_group.ChartGroup``. Importing this
package alone does not import pyqtgraph; its modules that draw do.
"""
