package main

import "context"

func (d *doctor) isolation(context.Context) {}
