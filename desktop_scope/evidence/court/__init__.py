"""The label court: how well a label predicts where its feature fires, on text held out from it."""
