#pragma once
// `record`, `headline`: what is written down beside the totals, and the one number that the scenario is about, with the
// published figure it is compared to where one exists.

#include <string>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

struct RecordParams {
  double every_us = 0;
  bool latency = true;
  bool per_step = false;
};

inline void fields(FieldVisitor& v, RecordParams& p) {
  v.number("every_us", p.every_us, time_us(), "Period of the time series; 0 writes none.");
  v.flag("latency", p.latency, "Whether latency histograms are kept.");
  v.flag("per_step", p.per_step, "Whether CPU time is broken down by calibration step.");
}

struct HeadlineParams {
  std::string component;
  std::string metric;
  double figure = 0;
  std::string unit;
  std::string source;
};

inline void fields(FieldVisitor& v, HeadlineParams& p) {
  v.text("component", p.component, "Component of the metric, a dotted path; empty for the whole host.");
  v.text("metric", p.metric, "The metric that answers the question; empty for none.");
  v.number("figure", p.figure, {-1e18, 1e18},
           "Published figure that it is compared to; 0 with an empty source for none.");
  v.text("unit", p.unit, "Unit of the figure.");
  v.text("source", p.source, "Where the figure was published (a figure id).");
}

}  // namespace rxpool::scenario
