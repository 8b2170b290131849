#!/bin/sh
# Stands for the upload server.
echo upload
