#!/bin/sh
# Stands for the command line.
echo cli
