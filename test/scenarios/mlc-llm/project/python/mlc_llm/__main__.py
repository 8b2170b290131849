import mlc_llm

print("mlc_llm", mlc_llm.__version__)
